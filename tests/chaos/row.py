"""A row of the table of faults: what it does, and what came of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .field import Field


@dataclass
class Outcome:
    """What a row leaves for the checker to know."""

    ended: float = field(default_factory=time.time)
    """When the fault was over, seconds since the epoch."""
    may_fail: frozenset[str] = frozenset()
    """Documents that are to end as failed."""
    parked: Mapping[str, int] = field(default_factory=dict)
    """Service to messages that are to be parked."""
    note: str = ""
    """What a reader should know of how the fault went, for example how many answers were 503."""


@dataclass(frozen=True)
class Row:
    """One fault. `run` gets the number of documents and whether it may take its time; it raises AssertionError where
    something is not as promised while the fault lasts."""

    name: str
    fault: str
    run: Callable[[Field, int, bool], Outcome]
    documents: int = 100
    """In the long form."""
    few: int | None = 8
    """In the short form; None where the row takes too long for it."""
    proxied: bool = False
    """Whether the services must reach the broker through a proxy."""
    within_s: float = 300
    """How long draining may take."""
