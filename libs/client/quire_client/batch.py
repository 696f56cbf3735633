"""Uploading many files at once, and following each until it is ready or failed."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .client import Quire
from .errors import QuireError, StillProcessing
from .following import Following
from .models import Document

AT_ONCE = 4


@dataclass(frozen=True)
class File:
    """A file to upload, with what is said of it."""

    path: Path
    size: int
    title: str | None = None
    folder: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a file: its document as it was last seen, or why there is none, or none that is ready."""

    file: File
    document: Document | None = None
    duplicate: bool = False
    error: Exception | None = None

    @property
    def failed(self) -> bool:
        """It was refused, not ready in time, or could not be processed."""
        return self.error is not None or self.document is None or self.document.status == "failed"

    @property
    def reason(self) -> str:
        """Why it failed, in words."""
        if self.error is not None:
            return str(self.error)
        return "; ".join(self.document.problems) if self.document else ""


class View(Protocol):
    """Whoever shows how far the files are. `changed` comes first when the upload is done."""

    def began(self, file: File) -> None: ...
    def sent(self, file: File, sent: int) -> None: ...
    def uploaded(self, file: File, document: Document, duplicate: bool) -> None: ...
    def changed(self, file: File, document: Document) -> None: ...
    def ended(self, outcome: Outcome) -> None: ...


def files_below(paths: Sequence[Path], folder: str | None, tags: Sequence[str]) -> list[File]:
    """The files, and for a folder every file below it whose path has no hidden part; its subfolders become folders.

    Raises FileNotFoundError.
    """
    files = []
    for path in paths:
        if not path.is_dir():
            files.append(File(path, path.stat().st_size, folder=folder, tags=tuple(tags)))
            continue
        for found in sorted(path.rglob("*")):
            parts = found.relative_to(path).parts
            if found.is_file() and not any(part.startswith(".") for part in parts):
                place = "/".join([(folder or "").rstrip("/"), *parts[:-1]]) or None
                files.append(File(found, found.stat().st_size, folder=place, tags=tuple(tags)))
    return list(dict.fromkeys(files))


async def upload_files(quire: Quire, files: Sequence[File], view: View, *, wait: float | None = None) -> list[Outcome]:
    """Upload the files, four at once, in order; with `wait`, until all are ready or failed, or so many seconds passed.

    Errors of one file are its outcome and do not stop the others.
    """
    deadline = None if wait is None else time.monotonic() + wait
    places = asyncio.Semaphore(AT_ONCE)
    async with AsyncExitStack() as stack:
        following = await stack.enter_async_context(quire.following()) if deadline is not None else None

        async def handle(file: File) -> Outcome:
            outcome = Outcome(file)
            try:
                async with places:
                    outcome = await _upload(quire, file, view)
                if following and deadline and outcome.document:
                    outcome = await _follow(following, outcome, deadline, view)
            except (QuireError, OSError) as error:  # StillProcessing is an OSError, as every TimeoutError
                document = error.document if isinstance(error, StillProcessing) else outcome.document
                outcome = Outcome(file, document, outcome.duplicate, error)
            view.ended(outcome)
            return outcome

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(handle(file)) for file in files]
        return [task.result() for task in tasks]


async def _upload(quire: Quire, file: File, view: View) -> Outcome:
    view.began(file)
    uploaded = await quire.upload(
        file.path,
        title=file.title,
        folder=file.folder,
        tags=file.tags,
        progress=lambda sent, _: view.sent(file, sent),
    )
    document = Document.model_validate(uploaded.model_dump())
    view.uploaded(file, document, uploaded.duplicate)
    return Outcome(file, document, uploaded.duplicate)


async def _follow(following: Following, outcome: Outcome, deadline: float, view: View) -> Outcome:
    assert outcome.document
    document = await following.settled(
        outcome.document.id,
        max(0.0, deadline - time.monotonic()),
        lambda seen: view.changed(outcome.file, seen),
    )
    return Outcome(outcome.file, document, outcome.duplicate)
