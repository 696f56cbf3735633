"""The commands `quire admin …`: dead letters and the audit log, for operators of the whole installation."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from cyclopts import App, Parameter

from . import show, show_admin
from .admin import DeadLetterFilter
from .asking import PATIENCE_S, Json, Yes, complain, refusal
from .client import Quire
from .errors import QuireError
from .models import AuditEntry, DeadLetter

PAGE = 200
DONE = {"requeue": "requeued", "discard": "discarded"}

admin = App(name="admin", help="Look after the whole installation; needs a key with the scope `operator`.")
dead_letters = App(name="dead-letters", help="Messages that no worker could handle: list, show, requeue, discard.")
admin.command(dead_letters)


@Parameter(name="*")
@dataclass(frozen=True)
class Which:
    """The options that say which dead letters are meant."""

    service: str | None = None
    """Whose message it was, for example embedder."""
    event_type: str | None = None
    """For example quire.text.extracted.v1."""
    document: str | None = None
    """The id of a document."""
    workspace: str | None = None
    """The id of a workspace."""
    reason: str | None = None
    """How the reason begins, for example refused."""
    since: datetime | None = None
    """Given up at this moment or later, for example 2026-11-02T09:30."""
    until: datetime | None = None
    """Given up before this moment."""

    def filter(self) -> DeadLetterFilter:
        """What was given."""
        return DeadLetterFilter(
            service=self.service, event_type=self.event_type, document=self.document, workspace=self.workspace,
            reason=self.reason, since=self.since, until=self.until,
        )  # fmt: skip


EVERY = Which()
All = Annotated[bool, Parameter(name="--all", negative="")]
DryRun = Annotated[bool, Parameter(negative="")]


@dead_letters.command(name="list")
async def list_dead_letters(
    *,
    which: Which = EVERY,
    state: Literal["parked", "requeued", "discarded", "any"] = "parked",
    limit: int = 50,
    as_json: Json = False,
) -> int:
    """List dead letters, newest first.

    Parameters
    ----------
    state
        What has become of it: parked waits for a person.
    limit
        How many at most.
    as_json
        One JSON object a line.
    """
    found: list[DeadLetter] = []
    async with Quire(patience=PATIENCE_S) as quire:
        wanted = None if state == "any" else state
        async for letter in quire.admin.dead_letters(which.filter(), state=wanted, page_size=max(1, min(limit, PAGE))):
            if len(found) >= limit:
                break
            found.append(letter)
    if as_json:
        for letter in found:
            print(letter.model_dump_json(exclude={"headers", "event", "body_base64"}))
    elif found:
        show.console().print(show_admin.dead_letters(found))
    else:
        print("no dead letters")
    return 0


@dead_letters.command(name="show")
async def show_dead_letter(letter: str, /, *, as_json: Json = False) -> int:
    """Show a dead letter: why it was given up, its headers and the message itself. Changes nothing.

    Parameters
    ----------
    letter
        The id, for example dl_5f2a….
    as_json
        The whole of it as JSON.
    """
    async with Quire(patience=PATIENCE_S) as quire:
        found = await quire.admin.dead_letter(letter)
    if as_json:
        print(found.model_dump_json())
        return 0
    console = show.console()
    console.print(show_admin.dead_letter(found))
    console.print()
    console.print(show_admin.message(found), soft_wrap=True)
    return 0


@dead_letters.command
async def requeue(
    *letters: str, every: All = False, which: Which = EVERY, dry_run: DryRun = False, yes: Yes = False
) -> int:
    """Give messages to their services once more, after what they failed of was mended.

    Parameters
    ----------
    letters
        The ids; or --all.
    every
        Every parked one that fits the options.
    dry_run
        With --all: only say how many.
    yes
        Do not ask.
    """
    return await _settle("requeue", letters, every, which, dry_run, yes)


@dead_letters.command
async def discard(
    *letters: str, every: All = False, which: Which = EVERY, dry_run: DryRun = False, yes: Yes = False
) -> int:
    """Mark messages as settled without doing anything; a discarded one can still be requeued.

    Parameters
    ----------
    letters
        The ids; or --all.
    every
        Every parked one that fits the options.
    dry_run
        With --all: only say how many.
    yes
        Do not ask.
    """
    return await _settle("discard", letters, every, which, dry_run, yes)


async def _settle(
    verb: Literal["requeue", "discard"], letters: Sequence[str], every: bool, which: Which, dry_run: bool, yes: bool
) -> int:
    narrowed = which != EVERY
    if every == bool(letters) or (letters and (narrowed or dry_run)):
        return complain(f"Give the ids of the dead letters to {verb}, or --all with what they have in common.", 2)
    async with Quire(patience=PATIENCE_S) as quire:
        if letters:
            return await _settle_some(quire, verb, letters, yes)
        work = quire.admin.requeue_all if verb == "requeue" else quire.admin.discard_all
        would = await work(which.filter(), dry_run=True)
        if dry_run or not would.matched:
            print(f"{show.count(would.matched, 'dead letter')} would be {DONE[verb]}" if dry_run else "no dead letters")
            return 0
        refused = refusal(f"{verb.capitalize()} {show.count(would.matched, 'dead letter')}?", yes)
        if refused is not None:
            return refused
        done = await work(which.filter())
    print(f"{DONE[verb]} {done.changed} of {show.count(done.matched, 'dead letter')}")
    if done.refused:
        return complain(f"{done.refused} are no text and can only be discarded.", 1)
    return 0


async def _settle_some(quire: Quire, verb: Literal["requeue", "discard"], letters: Sequence[str], yes: bool) -> int:
    refused = refusal(f"{verb.capitalize()} {show.count(len(letters), 'dead letter')}?", yes)
    if refused is not None:
        return refused
    code = 0
    for letter in letters:
        try:
            await (quire.admin.requeue if verb == "requeue" else quire.admin.discard)(letter)
            print(f"{DONE[verb]} {letter}")
        except QuireError as error:
            if error.status not in {404, 409}:
                raise
            code = complain(f"{letter}: {error}", 1)
    return code


@admin.command
async def audit(
    *,
    action: str | None = None,
    actor: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
    as_json: Json = False,
) -> int:
    """Show who did what, newest first.

    Parameters
    ----------
    action
        How the action begins, for example dead-letters.
    actor
        The id of an API key, or sweeper.
    subject
        What it was done to: the id of a document or dead letter.
    since
        At this moment or later.
    limit
        How many at most.
    as_json
        One JSON object a line.
    """
    found: list[AuditEntry] = []
    async with Quire(patience=PATIENCE_S) as quire:
        async for entry in quire.admin.audit(
            action=action, actor=actor, subject=subject, since=since, page_size=max(1, min(limit, PAGE))
        ):
            if len(found) >= limit:
                break
            found.append(entry)
    if as_json:
        for entry in found:
            print(json.dumps(entry.model_dump(mode="json")))
    elif found:
        show.console().print(show_admin.audit(found))
    else:
        print("nothing was done")
    return 0
