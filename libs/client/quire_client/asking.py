"""What the commands share: how long they try, what they complain of, and how they ask before they act."""

import sys
from typing import Annotated

from cyclopts import Parameter
from rich.prompt import Confirm

from . import show

PATIENCE_S = 8
"""A person waits; an upload is worth more patience than a question."""

Json = Annotated[bool, Parameter(name="--json", negative="")]
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], negative="")]


def complain(text: str, code: int) -> int:
    """A line on standard error; returns the exit code."""
    print(f"quire: {show.clean(text)}", file=sys.stderr)
    return code


def refusal(question: str, yes: bool) -> int | None:
    """Ask whether to go on: None where the person agrees, or said `--yes`, else the exit code."""
    if yes:
        return None
    if not sys.stdin.isatty():
        return complain("Nobody can be asked here: give --yes to go on without asking.", 2)
    return None if Confirm.ask(question, default=False) else 1
