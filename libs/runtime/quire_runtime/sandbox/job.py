"""One job in the sandbox: a directory of its own and calls into a worker."""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from quire_runtime.sandbox import directory

Run = Callable[["Job", str, Mapping[str, Any], float | None], Awaitable[Any]]


class Job:
    """Made by `Sandbox.job()`. `path` is the directory that calls run in; put input there before the first call.

    After the first call the directory belongs to the worker: read what it left with `open`, which takes no links.
    """

    def __init__(self, path: Path, uid: int | None, run: Run) -> None:
        self.path = path
        self._uid = uid
        self._run = run
        self._handed_over = False

    async def call(self, function: str, arguments: Mapping[str, Any], *, wall_s: float | None = None) -> Any:
        """Runs `"module:function"` with `arguments` as keywords (JSON values) in `path`; returns its result (likewise).

        Raises Permanent as the function did; SandboxError for anything else it raised; a SandboxStopped (timeout,
        memory, crash, output) when it had to be given up; SandboxUnavailable when the sandbox is at fault.
        """
        if not self._handed_over:
            self._hand_over()
        return await self._run(self, function, arguments, wall_s)

    def open(self, name: str) -> BinaryIO:
        """Opens a regular file below `path` that a call left; raises FileNotFoundError or PermissionError."""
        return directory.open_file(self.path, name)

    def _hand_over(self) -> None:
        self._handed_over = True
        if self._uid is None:
            return
        with os.scandir(self.path) as entries:
            for entry in entries:
                os.chown(entry.path, self._uid, self._uid, follow_symlinks=False)
        os.chown(self.path, self._uid, self._uid)
