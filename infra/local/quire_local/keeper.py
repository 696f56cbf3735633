"""The process that keeps the backups current: `python -m quire_local.keeper HOME file|s3`.

Every few seconds it copies the new objects, so that they are as safe as the log that names them; and it makes
a base backup when the newest is a day old, or when more log follows it than a restore should replay and a disk hold.
It imports little, for it runs all the time: the base backup is a command of its own.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from quire_local import archive, objects
from quire_local.archive import Archive
from quire_local.ports import PortBook
from quire_local.process import Site
from quire_local.settings import Settings, inherited
from quire_local.state import State

PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
SHARE = 0.05
"""Of the time about this part is spent looking for new objects, however many there are."""
LOOKS = ((3600.0, None), (60.0, 2 * 3600.0), (0.0, 120.0))
"""How many seconds after the last such look which documents are looked at: those that got a revision within so many
seconds before, None for all. A content is looked for each time, what is made of it soon, what comes late in the end."""
DAY_S = 24 * 3600.0
MOST_LOG_BYTES = 1024**3
AGAIN_S = 600.0
"""Between two attempts to make a base backup."""


def main(arguments: Sequence[str]) -> None:
    """Run until stopped. What fails is written to the log and tried again."""
    home, store = arguments
    settings = Settings(home=Path(home), port=None, s3=store == "s3")
    site = Site(settings, PortBook(settings.home, given=State(settings.home).ports()))
    source, folder = objects.of(site), Archive(archive.folder(settings.home))
    looked: dict[float, float] = {}
    tried = time.monotonic()
    while True:
        began = time.monotonic()
        try:
            if folder.current() is None:
                raise FileNotFoundError(f"there are no backups in {folder.root.resolve()}: is the disk there?")
            every, within = next(look for look in LOOKS if began - looked.get(look[0], float("-inf")) >= look[0])
            objects.mirror(source, folder.objects, None if within is None else time.time() - within)
            looked[every] = began
            if began - tried > AGAIN_S and is_due(folder):
                tried = began
                _back_up(settings)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        time.sleep(min(max(PAUSE_S, (time.monotonic() - began) / SHARE), LONGEST_PAUSE_S))


def is_due(folder: Archive) -> bool:
    """Whether a new base backup is worth its space; never before a person made the first."""
    bases = folder.bases()
    if not bases:
        return False
    newest = bases[-1]
    log = folder.log_bytes_since(newest)
    old = (datetime.now(UTC) - newest.ended).total_seconds() > DAY_S
    return log > max(MOST_LOG_BYTES, newest.size) or (old and log > 0)


def _back_up(settings: Settings) -> None:
    environment = {**inherited(), "QUIRE_HOME": str(settings.home), "QUIRE_STORE": "s3" if settings.s3 else "file"}
    environment.pop("QUIRE_BACKUP_DIR", None)
    command = (sys.executable, "-m", "quire_local", "backup")
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        print(f"the base backup failed with code {done.returncode}; tried again in {AGAIN_S:g} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
