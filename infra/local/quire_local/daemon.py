"""The background process of a stack: `python -m quire_local.daemon HOME MODULE:FUNCTION PORT file|s3`."""

import asyncio
import ctypes
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from quire_local import settings, trees
from quire_local.ports import PortBook, PortTaken
from quire_local.presence import AlreadyRunning, only_supervisor
from quire_local.process import Missing, Site, Specification
from quire_local.supervisor import Supervisor, say

PR_SET_CHILD_SUBREAPER = 36


def command(given: settings.Settings, specification: str) -> tuple[str, ...]:
    """The command that runs this module with the given settings."""
    store = "s3" if given.s3 else "file"
    return (sys.executable, "-m", __name__, str(given.home), specification, str(given.port or 0), store)


def main(arguments: Sequence[str]) -> int:
    """Run until stopped: 0 when that was asked for, 1 when the start failed, 2 when it could not be tried."""
    home, specification, port, store = arguments
    given = settings.Settings(home=Path(home), port=int(port) or None, s3=store == "s3")
    try:
        with only_supervisor(given.home):
            return _supervise(given, specification)
    except (AlreadyRunning, PortTaken, Missing) as error:
        print(error, file=sys.stderr)
        return 2


def _supervise(given: settings.Settings, specification: str) -> int:
    become_subreaper()
    ended = trees.sweep(given.home)
    if ended:
        say(f"stack: ended what an earlier supervisor left behind: {', '.join(ended)}")
    site = Site(given, PortBook(given.home, given.port))

    async def run() -> bool:
        return await Supervisor(site, find(specification), settings.inherited()).run()

    return 0 if asyncio.run(run()) else 1


def find(specification: str) -> Specification:
    """The function that `module:function` names."""
    module, _, function = specification.partition(":")
    found: Specification = getattr(importlib.import_module(module), function)
    return found


def become_subreaper() -> None:
    """On Linux, orphaned grandchildren become our children, so that none escapes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
