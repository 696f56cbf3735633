"""The command `quire retry`: stages that failed are done once more, of one document or of all that fit."""

from functools import partial
from typing import Annotated, Literal

from cyclopts import Parameter

from . import show
from .asking import PATIENCE_S, Json, Yes, complain, refusal
from .client import Quire

Stage = Literal["ingest", "embed", "index", "preview", "enrich"]
Flag = Parameter(negative="")


async def retry(
    document: str | None = None,
    /,
    *,
    stage: Stage | None = None,
    force: Annotated[bool, Flag] = False,
    status: Literal["processing", "ready", "failed"] | None = None,
    folder: Annotated[str | None, Parameter(name=["--folder", "-f"])] = None,
    tag: Annotated[list[str] | None, Parameter(name=["--tag", "-t"], negative="")] = None,
    media_type: Annotated[str | None, Parameter(name="--type")] = None,
    reason: str | None = None,
    dry_run: Annotated[bool, Flag] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Do the stages that failed once more: of one document, or of all that fit the options.

    Parameters
    ----------
    document
        The id; else give at least one of the options below.
    stage
        Only this stage.
    force
        Also a stage that did not fail; needs an id and --stage.
    status
        Documents in this status: a ready one may have a failed preview.
    folder
        Documents in this folder and below it.
    tag
        Documents with this tag; may be given several times.
    media_type
        Documents of this type, for example application/pdf.
    reason
        Stages that failed for this reason, for example exhausted.
    dry_run
        Only say how many documents.
    yes
        Do not ask.
    as_json
        The answer as JSON.
    """
    filters = any(value is not None for value in (status, folder, tag, media_type, reason)) or dry_run
    if document is None and (force or not (filters or stage)):
        return complain("Give the id of a document, or say which: --status failed, --stage embed, --folder …", 2)
    if document is not None and filters:
        return complain("Give either the id of a document or the options that say which.", 2)
    async with Quire(patience=PATIENCE_S) as quire:
        if document is not None:
            found = await quire.retry(document, stage, force=force)
            print(found.model_dump_json() if as_json else f"{found.id}  {show.stages(found).plain}")
            return 0
        which = partial(
            quire.retry_all,
            status=status, folder=folder, tags=tag or (), media_type=media_type, stage=stage, reason=reason,
        )  # fmt: skip
        done = await which(dry_run=True)
        told = f"{show.count(done.matched, 'document')} would be retried" if dry_run else "no documents"
        if done.matched and not dry_run:
            refused = refusal(f"Retry {show.count(done.matched, 'document')}?", yes)
            if refused is not None:
                return refused
            done = await which()
            told = f"retried {done.retried} of {show.count(done.matched, 'document')}"
    print(done.model_dump_json() if as_json else told)
    return 0
