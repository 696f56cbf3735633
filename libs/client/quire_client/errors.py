"""What can go wrong, as exceptions that read as sentences."""

from collections.abc import Sequence

import httpx
from pydantic import BaseModel, ValidationError

from .models import Document


class FieldProblem(BaseModel):
    """What is wrong with one part of a request; `pointer` is for example `/query/limit`."""

    pointer: str
    detail: str


class QuireError(Exception):
    """The server refused or failed: an RFC 9457 problem document.

    `status` is the HTTP status and 0 where no answer came; `code` is stable and for programs; `request_id` finds the
    request in the server's logs.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        request_id: str | None = None,
        errors: Sequence[FieldProblem] = (),
    ) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.errors = list(errors)

    def __str__(self) -> str:
        told = {problem.detail for problem in self.errors if problem.detail in self.detail}
        parts = [
            self.detail,
            *(f"{problem.pointer}: {problem.detail}" for problem in self.errors if problem.detail not in told),
        ]
        marks = [f"{self.status} {self.code}" if self.status else self.code]
        if self.request_id:
            marks.append(f"request {self.request_id}")
        return f"{'; '.join(parts)} ({', '.join(marks)})"


class Unreachable(QuireError):
    """No answer came: nobody listens at the address, or the connection broke."""

    def __init__(self, url: str, error: Exception) -> None:
        super().__init__(0, "unreachable", f"{url} does not answer: {str(error) or type(error).__name__}")


class StillProcessing(TimeoutError):
    """A document had not reached `ready` or `failed` in time; `document` is what was last known of it."""

    def __init__(self, document: Document, seconds: float) -> None:
        super().__init__(document, seconds)
        self.document = document
        self.seconds = seconds

    def __str__(self) -> str:
        stages = ", ".join(self.document.waiting_for) or "its last event"
        return f"{self.document.title!r} ({self.document.id}) still waits for {stages} after {self.seconds:.0f} s"


class _Problem(BaseModel):
    code: str
    title: str = ""
    detail: str | None = None
    request_id: str | None = None
    errors: list[FieldProblem] | None = None


def error_of(response: httpx.Response) -> QuireError:
    """The error in a response that was read; also of a proxy that speaks no problem documents."""
    status = response.status_code
    try:
        problem = _Problem.model_validate_json(response.content)
    except ValidationError:
        where = f"to {response.headers['location']}" if "location" in response.headers else ""
        detail = " ".join(f"The server answers {status} {response.reason_phrase} {where}".split())
        return QuireError(status, "redirected" if response.has_redirect_location else "unexpected_answer", detail)
    return QuireError(
        status,
        problem.code,
        problem.detail or problem.title,
        request_id=problem.request_id,
        errors=problem.errors or (),
    )
