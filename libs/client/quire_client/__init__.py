"""Typed async client of the Quire API, and the command `quire`."""

from .admin import Admin, DeadLetterFilter
from .client import Quire
from .download import Damaged
from .errors import FieldProblem, QuireError, StillProcessing, Unreachable
from .models import (
    AuditEntry,
    DeadLetter,
    DeadLettersChanged,
    Document,
    Event,
    Highlight,
    Hit,
    Mode,
    Preview,
    Retried,
    SearchResults,
    Stage,
    TimelineEntry,
    UploadedDocument,
)
from .settings import NoCredentials
from .upkeep import Difference, Rebuilt, Reconciled, Swept, Upkeep, WorkProgress

__all__ = [
    "Admin",
    "AuditEntry",
    "Damaged",
    "DeadLetter",
    "DeadLetterFilter",
    "DeadLettersChanged",
    "Difference",
    "Document",
    "Event",
    "FieldProblem",
    "Highlight",
    "Hit",
    "Mode",
    "NoCredentials",
    "Preview",
    "Quire",
    "QuireError",
    "Rebuilt",
    "Reconciled",
    "Retried",
    "SearchResults",
    "Stage",
    "StillProcessing",
    "Swept",
    "TimelineEntry",
    "Unreachable",
    "Upkeep",
    "UploadedDocument",
    "WorkProgress",
]
