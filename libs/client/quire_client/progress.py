"""Uploads and stages as they go: bars on a terminal, one line for each document elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from . import show
from .batch import File, Outcome, View
from .body import Progress
from .models import Document

LINES = 12
"""Documents whose stages are shown at once; the others count in the bar of all."""


class _StagesColumn(ProgressColumn):
    """The stages of a document with their marks."""

    def render(self, task: Task) -> Text:
        stages: Text = task.fields["stages"]
        return stages


class _Bars:
    """Two groups of bars: bytes of the files, and stages of the documents."""

    def __init__(self, console: Console, files: Sequence[File], wait: bool) -> None:
        title = TextColumn("{task.fields[title]}", markup=False)
        self._bytes = Bars(title, BarColumn(24), DownloadColumn(), TransferSpeedColumn(), console=console)
        self._all = self._bytes.add_task("", title="uploading", total=sum(file.size for file in files))
        self._ready = Bars(title, BarColumn(24), MofNCompleteColumn(), console=console)
        self._count = self._ready.add_task("", title="processed", total=len(files), visible=wait)
        self._stages = Bars(title, _StagesColumn(), console=console)
        self._wait = wait
        self._uploads: dict[File, tuple[TaskID, int]] = {}
        self._documents: dict[File, TaskID] = {}
        self.shown = Group(self._bytes, self._ready, self._stages)

    def began(self, file: File) -> None:
        task = self._bytes.add_task("", title=f"  {_short(file.path.name)}", total=file.size)
        self._uploads[file] = (task, 0)

    def sent(self, file: File, sent: int) -> None:
        task, before = self._uploads[file]
        self._bytes.update(task, completed=sent)
        self._bytes.advance(self._all, sent - before)
        self._uploads[file] = (task, sent)

    def uploaded(self, file: File, document: Document, duplicate: bool) -> None:
        self._finish_upload(file)

    def changed(self, file: File, document: Document) -> None:
        if file not in self._documents and len(self._documents) < LINES:
            title = f"  {_short(show.clean(document.title))}"
            self._documents[file] = self._stages.add_task("", title=title, stages=Text())
        if file in self._documents:
            self._stages.update(self._documents[file], stages=show.stages(document))

    def ended(self, outcome: Outcome) -> None:
        self._finish_upload(outcome.file)
        self._ready.advance(self._count)
        if outcome.file in self._documents:
            self._stages.remove_task(self._documents.pop(outcome.file))
        if outcome.failed:
            self._bytes.console.print(_line(outcome, self._wait))

    def _finish_upload(self, file: File) -> None:
        if file in self._uploads:
            self.sent(file, file.size)
            self._bytes.remove_task(self._uploads.pop(file)[0])


class _Lines:
    """A line for each file when it is done."""

    def __init__(self, console: Console, wait: bool) -> None:
        self._console = console
        self._wait = wait

    def began(self, file: File) -> None: ...
    def sent(self, file: File, sent: int) -> None: ...
    def uploaded(self, file: File, document: Document, duplicate: bool) -> None: ...
    def changed(self, file: File, document: Document) -> None: ...

    def ended(self, outcome: Outcome) -> None:
        self._console.print(_line(outcome, self._wait))


class _Silent(_Lines):
    """Nothing: for output that a program reads."""

    def ended(self, outcome: Outcome) -> None: ...


@contextmanager
def view(console: Console, files: Sequence[File], *, wait: bool, quiet: bool = False) -> Iterator[View]:
    """A view of the uploads for as long as the context lasts."""
    if quiet:
        yield _Silent(console, wait)
    elif not console.is_terminal:
        yield _Lines(console, wait)
    else:
        bars = _Bars(console, files, wait)
        with Live(bars.shown, console=console, refresh_per_second=10, transient=True):
            yield bars


def _line(outcome: Outcome, wait: bool) -> Text:
    name = show.clean(str(outcome.file.path))
    if outcome.failed:
        return Text.assemble(("failed     ", "bold red"), f"{name}: {show.clean(outcome.reason)}")
    assert outcome.document
    word = "duplicate" if outcome.duplicate else outcome.document.status if wait else "uploaded"
    return Text(f"{word:<11}{name}  {outcome.document.id}")


def _short(name: str, most: int = 40) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


@contextmanager
def download_bar(console: Console, filename: str, size: int) -> Iterator[Progress | None]:
    """How far a download is, on a terminal; the context gives the callback of the client."""
    if not console.is_terminal:
        yield None
        return
    title = TextColumn("{task.fields[title]}", markup=False)
    with Bars(title, BarColumn(24), DownloadColumn(), TransferSpeedColumn(), console=console, transient=True) as bars:
        task = bars.add_task("", title=_short(show.clean(filename)), total=size)
        yield lambda received, _: bars.update(task, completed=received)
