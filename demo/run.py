"""The demo, `python -m demo.run [--files DIR]`: uploads documents, waits for them, and shows what came of it."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from demo import report, searches
from demo.catalog import SAMPLES
from demo.make_samples import make_samples
from quire_client import Document, NoCredentials, Quire, QuireError, StillProcessing, settings, show
from quire_client.batch import File, Outcome, files_below, upload_files
from quire_client.progress import view

PATIENCE_S = 90
"""A service that died is started again; no request gives up before that."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all is well; 1: a document or a search failed, or time ran out; 2: no stack is known, or no files."""
    parser = argparse.ArgumentParser(prog="python -m demo.run", description="Show Quire at work.")
    parser.add_argument("--files", type=Path, metavar="DIR", help="your own documents instead of the samples")
    parser.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds for all documents (600)")
    options = parser.parse_args(arguments)
    console = show.console()
    try:
        return asyncio.run(demo(console, options.files, options.timeout))
    except (NoCredentials, FileNotFoundError) as error:
        print(f"demo: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except QuireError as error:
        print(f"demo: {error}\n`make status` shows what runs, `make logs` why not.", file=sys.stderr)  # noqa: T201
        return 1


async def demo(console: Console, own: Path | None, seconds: float) -> int:
    """Run the demo; returns the exit code."""
    credentials, home = settings.find(), settings.home()
    files = await asyncio.to_thread(_own_files, own) if own else await asyncio.to_thread(_samples, home / "samples")
    async with Quire(credentials.url, credentials.api_key, patience=PATIENCE_S) as quire:
        report.heading(console, f"Uploading {show.count(len(files), 'document')} to {quire.url}")
        if not own:
            console.print(f"written for this demo into {report.near(home / 'samples')}", style="dim")
        with view(console, files, wait=True) as shown:
            outcomes = await upload_files(quire, files, shown, wait=seconds)
        documents = [outcome.document for outcome in outcomes if outcome.document]
        timelines = dict(zip((one.id for one in documents), await _timelines(quire, documents), strict=True))
        report.documents(console, outcomes, timelines)
        well = _settled(console, outcomes, seconds, must_be_ready=not own)
        ready = [document for document in documents if document.status == "ready"]
        if ready:
            well &= await _tour(console, quire, ready, files, outcomes, home, samples=not own)
            report.latencies(console, timelines)
        report.farewell(console, credentials, home)
    return 0 if well else 1


async def _tour(
    console: Console,
    quire: Quire,
    ready: Sequence[Document],
    files: Sequence[File],
    outcomes: Sequence[Outcome],
    home: Path,
    *,
    samples: bool,
) -> bool:
    """Everything there is to see once documents are ready; False where something was not found."""
    report.heading(console, "Searching")
    well = await (searches.of_samples(console, quire, ready) if samples else searches.of_own(console, quire, ready))
    one = next((document for document in ready if document.summary), ready[0])
    report.enrichment(console, one)
    await report.previews(console, quire, ready, home / "demo")
    report.timeline(console, one, await quire.timeline(one.id))
    report.heading(console, "The same file once more")
    file = next(outcome.file for outcome in outcomes if outcome.document and outcome.document.id == one.id)
    again = await quire.upload(file.path, title=file.title, folder=file.folder, tags=file.tags)
    console.print(f"{file.path.name}: duplicate: {str(again.duplicate).lower()}, it is {again.id}")
    return well and again.duplicate and again.id == one.id


def _settled(console: Console, outcomes: Sequence[Outcome], seconds: float, *, must_be_ready: bool) -> bool:
    """Whether every document came to its end; says which did not, and where they are stuck."""
    unsettled = [outcome for outcome in outcomes if outcome.error]
    failed = [outcome for outcome in outcomes if outcome.failed and not outcome.error]
    if unsettled:
        report.heading(
            console, f"{show.count(len(unsettled), 'document')} did not come to an end within {seconds:.0f} s"
        )
        for stage, names in _waiting(unsettled).items():
            console.print(f"{stage:<8} is missing for {', '.join(names)}", style="bold red")
        for outcome in unsettled:
            if not isinstance(outcome.error, StillProcessing):
                console.print(f"{outcome.file.path.name}: {outcome.reason}", style="bold red")
        console.print("`make status` shows which service does not run, `make logs` why.")
    if failed:
        report.heading(console, f"{show.count(len(failed), 'document')} failed")
        for outcome in failed:
            console.print(f"{outcome.file.path.name}: {outcome.reason}", style="bold red")
    return not unsettled and (not failed or (not must_be_ready and all(outcome.reason for outcome in failed)))


def _waiting(outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """For each stage the files that wait for it."""
    waiting: dict[str, list[str]] = {}
    for outcome in outcomes:
        for stage in outcome.document.waiting_for if outcome.document else ():
            waiting.setdefault(stage, []).append(outcome.file.path.name)
    return waiting


async def _timelines(quire: Quire, documents: Sequence[Document]) -> list[report.Entries]:
    places = asyncio.Semaphore(8)

    async def one(document: Document) -> report.Entries:
        async with places:
            return await quire.timeline(document.id)

    return list(await asyncio.gather(*(one(document) for document in documents)))


def _samples(folder: Path) -> list[File]:
    paths = make_samples(folder)
    return [
        File(path, path.stat().st_size, sample.title, sample.folder, sample.tags)
        for path, sample in zip(paths, SAMPLES, strict=True)
    ]


def _own_files(folder: Path) -> list[File]:
    files = files_below([folder], None, ()) if folder.exists() else []
    if not files:
        raise FileNotFoundError(f"there are no files below {folder}")
    return files


if __name__ == "__main__":
    sys.exit(main())
