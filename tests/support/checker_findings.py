"""What a checker found to be wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SHOWN = 12


@dataclass(frozen=True)
class Finding:
    """A broken invariant with the ids, rows or queues that show it."""

    invariant: str
    kind: Literal["lost", "duplicated", "unexpected"]
    text: str
    evidence: Sequence[str] = ()

    def __str__(self) -> str:
        shown = ", ".join(self.evidence[:SHOWN])
        more = f" and {len(self.evidence) - SHOWN} more" if len(self.evidence) > SHOWN else ""
        return f"{self.invariant} {self.kind}: {self.text} ({len(self.evidence)}): {shown}{more}"
