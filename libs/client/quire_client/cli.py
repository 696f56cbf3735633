"""The command `quire`: upload, search, list, show, download, watch and delete documents from a terminal."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from pydantic import BaseModel

from . import progress, show
from .admin_cli import admin
from .asking import PATIENCE_S, Json, Yes, complain, refusal
from .batch import Outcome, files_below, upload_files
from .client import Quire
from .errors import QuireError, StillProcessing, Unreachable
from .models import Document, Event, Mode
from .retry_cli import retry
from .settings import NoCredentials
from .upkeep_cli import rebuild_index, reconcile, sweep

UPLOAD_PATIENCE_S = 60
PAGE = 200

_HELP = """Documents in Quire: upload, search, list, show, download, watch, retry, delete.

The server and the key come from QUIRE_URL and QUIRE_API_KEY, else from `.quire/credentials.env` here or in a folder
above. Exit codes: 0 done, 1 something failed, 2 wrongly asked or no server known.
"""
app = App(name="quire", help=_HELP, help_format="markdown", version_flags=[], result_action="return_value")
for upkeep in (sweep, reconcile, rebuild_index):
    admin.command(upkeep)
app.command(admin)
app.command(retry)

Folder = Annotated[str | None, Parameter(name=["--folder", "-f"])]
Tags = Annotated[list[str] | None, Parameter(name=["--tag", "-t"], negative="")]
Type = Annotated[str | None, Parameter(name="--type")]


@app.command
async def upload(
    *paths: Path,
    folder: Folder = None,
    tag: Tags = None,
    wait: Annotated[bool, Parameter(negative="")] = False,
    timeout: float = 600,  # noqa: ASYNC109
    as_json: Json = False,
) -> int:
    """Upload files, and folders with everything below them.

    Parameters
    ----------
    paths
        Files and folders; subfolders become folders of the catalog.
    folder
        Where to file them, for example /invoices/2026.
    tag
        A tag for each of them; may be given several times.
    wait
        Wait until each is ready or failed, and show the stages.
    timeout
        Seconds to wait for all of them.
    as_json
        One JSON object a line: path, document, duplicate, error.
    """
    if not paths:
        return complain("Give the files or folders to upload.", 2)
    files = await asyncio.to_thread(files_below, paths, folder, tag or ())
    console = show.console()
    async with Quire(patience=UPLOAD_PATIENCE_S) as quire:
        with progress.view(console, files, wait=wait, quiet=as_json) as view:
            outcomes = await upload_files(quire, files, view, wait=timeout if wait else None)
    if as_json:
        for outcome in outcomes:
            print(_outcome_json(outcome))
    else:
        _summarise(outcomes, wait)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


@app.command
async def search(
    query: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    mode: Mode = "hybrid",
    limit: int = 10,
    tag: Tags = None,
    folder: Folder = None,
    media_type: Type = None,
    language: str | None = None,
    as_json: Json = False,
) -> int:
    """Find documents by meaning and by word.

    Parameters
    ----------
    query
        Words, "phrases", OR, -not.
    mode
        By words (keyword), by meaning (semantic), or both.
    limit
        How many documents to show.
    tag
        Only documents with this tag; may be given several times.
    folder
        Only this folder and everything below it.
    media_type
        Only this type, for example application/pdf.
    language
        Only this language, for example en.
    as_json
        The whole answer as JSON.
    """
    async with Quire(patience=PATIENCE_S) as quire:
        found = await quire.search(
            query, mode=mode, limit=limit, tags=tag or (), folder=folder, media_type=media_type, language=language
        )
    if as_json:
        print(found.model_dump_json())
        return 0
    console = show.console()
    for number, hit in enumerate(found.data, 1):
        console.print(show.hit(number, hit, plain=not console.is_terminal, passages=2))
    if found.data:
        console.print()
    console.print(show.facets(found))
    console.print(f"{show.count(len(found.data), 'document')} in {found.took_ms:.0f} ms", style="dim")
    return 0


@app.command(name="list")
async def list_documents(
    *,
    status: Literal["processing", "ready", "failed"] | None = None,
    folder: Folder = None,
    tag: Tags = None,
    media_type: Type = None,
    limit: int = 50,
    as_json: Json = False,
) -> int:
    """List documents, newest first.

    Parameters
    ----------
    status
        Only documents in this status.
    folder
        Only this folder and everything below it.
    tag
        Only documents with this tag; may be given several times.
    media_type
        Only this type, for example application/pdf.
    limit
        How many at most.
    as_json
        One JSON object a line.
    """
    async with Quire(patience=PATIENCE_S) as quire:
        listing = quire.documents(
            status=status, folder=folder, tags=tag or (), media_type=media_type, page_size=max(1, min(limit, PAGE))
        )
        shown = []
        async for document in _first(listing, limit):
            if as_json:
                print(document.model_dump_json())
            else:
                shown.append(document)
    if shown:
        show.console().print(show.documents(shown))
    elif not as_json:
        print("no documents")
    return 0


@app.command(name="show")
async def show_document(document: str, /, *, as_json: Json = False) -> int:
    """Show a document: what is known of it, its stages, and its timeline.

    Parameters
    ----------
    document
        The id, for example doc_01932c5e….
    as_json
        The document and its timeline as JSON.
    """
    async with Quire(patience=PATIENCE_S) as quire:
        found, timeline = await asyncio.gather(quire.document(document), quire.timeline(document))
    if as_json:
        print(json.dumps({"document": _plain(found), "timeline": [_plain(entry) for entry in timeline]}))
        return 0
    console = show.console()
    console.print(show.details(found))
    console.print()
    console.print(show.timeline(timeline))
    return 0


@app.command
async def download(
    document: str, /, *, output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
) -> int:
    """Download a document's content; a download that broke off goes on where it was.

    Parameters
    ----------
    document
        The id.
    output
        The file to write, or a folder; else the document's own name, here, where no such file is yet.
    """
    async with Quire(patience=UPLOAD_PATIENCE_S) as quire:
        known = await quire.document(document)
        target = output or Path(Path(known.filename).name)
        if output is None and await asyncio.to_thread(target.exists):
            return complain(f"{target} is there already: say with -o where to write.", 1)
        console = show.console(stderr=True)
        with progress.download_bar(console, known.filename, known.size) as advance:
            path = await quire.download(document, target, advance)
    print(path)
    return 0


@app.command
async def watch(*, document: str | None = None, after: str | None = None, as_json: Json = False) -> int:
    """Show events as they happen, until interrupted.

    Parameters
    ----------
    document
        Only events of this document.
    after
        Begin behind this place, a `cursor` of an event.
    as_json
        One JSON object a line.
    """
    console = show.console()
    titles: dict[str, str] = {}
    async with Quire(patience=UPLOAD_PATIENCE_S) as quire:
        async for event in quire.events(after=after, document=document):
            if as_json:
                print(event.model_dump_json(), flush=True)
            else:
                console.print(show.event(event, await _title(quire, event, titles)), soft_wrap=True)
    return 0


@app.command
async def delete(*documents: str, yes: Yes = False) -> int:
    """Delete documents with everything that was made of them.

    Parameters
    ----------
    documents
        The ids.
    yes
        Do not ask.
    """
    if not documents:
        return complain("Give the ids of the documents to delete.", 2)
    refused = refusal(f"Delete {show.count(len(documents), 'document')}?", yes)
    if refused is not None:
        return refused
    code = 0
    async with Quire(patience=PATIENCE_S) as quire:
        for document in documents:
            try:
                await quire.delete(document)
                print(f"deleted {document}")
            except QuireError as error:
                if error.status != 404:
                    raise
                code = complain(f"{document}: {error}", 1)
    return code


async def _first(documents: AsyncIterator[Document], limit: int) -> AsyncIterator[Document]:
    left = limit
    async for document in documents:
        if left <= 0:
            return
        yield document
        left -= 1


async def _title(quire: Quire, event: Event, titles: dict[str, str]) -> str | None:
    """The document's title: from the event where it carries it, else asked for once."""
    carried = event.data.get("document")
    if isinstance(carried, dict) and isinstance(carried.get("title"), str):
        titles[event.subject] = carried["title"]
    if event.subject not in titles:
        try:
            titles[event.subject] = (await quire.document(event.subject)).title
        except QuireError:
            return None
    return titles[event.subject]


def _summarise(outcomes: Sequence[Outcome], wait: bool) -> None:
    """The numbers to the terminal; failures were shown as they happened."""
    failed = sum(outcome.failed for outcome in outcomes)
    duplicates = sum(outcome.duplicate and not outcome.failed for outcome in outcomes)
    new = len(outcomes) - failed - duplicates
    verb = "ready" if wait else "uploaded"
    print(f"{new} {verb}, {duplicates} duplicate, {failed} failed")


def _outcome_json(outcome: Outcome) -> str:
    return json.dumps(
        {
            "path": str(outcome.file.path),
            "document": _plain(outcome.document) if outcome.document else None,
            "duplicate": outcome.duplicate,
            "error": outcome.reason or None,
        }
    )


def _plain(model: BaseModel) -> object:
    return model.model_dump(mode="json")


def _advice(error: Exception) -> str:
    match error:
        case Unreachable():
            return " Is it running? `make status` shows the local stack."
        case QuireError(status=401):
            return " Check QUIRE_API_KEY, or the key in .quire/credentials.env."
        case QuireError(status=404, code="not_found"):
            return " `quire list` shows the ids."
        case StillProcessing():
            return " `quire show ID` tells how far it is."
        case _:
            return ""


def run(tokens: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; what goes wrong is told on standard error without a traceback."""
    try:
        code = app(tokens)
        return code if isinstance(code, int) else 0
    except NoCredentials as error:
        return complain(str(error), 2)
    except (QuireError, StillProcessing) as error:
        return complain(f"{error}{_advice(error)}", 1)
    except FileNotFoundError as error:
        return complain(f"{error.filename}: there is no such file.", 1)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: `quire list | head`
        return 0
    except OSError as error:
        return complain(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), 1)


def main() -> None:
    """The entry point `quire`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.exit(run())
