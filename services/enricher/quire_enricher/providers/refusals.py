"""What an HTTP status of a provider means for the document."""

import time
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz
from typing import Protocol

from quire_runtime.errors import Later, Permanent

REFUSED = "provider_refused"
"""Reason of the failure of a stage that a provider declined for good."""

_WITHOUT_HEADER_S = 30.0
_LONGEST_S = 3600.0
_UNPAID_S = 600.0
_MAY_PASS = (408, 409, 425)


class ProviderFailed(Exception):
    """The provider is overloaded or broken; it may answer the next time."""


class Answered(Protocol):
    """An HTTP response, as far as it matters here."""

    @property
    def headers(self) -> Mapping[str, str]: ...


class StatusError(Protocol):
    """What the SDKs' exceptions for an HTTP status have in common."""

    status_code: int
    message: str
    body: object | None

    @property
    def response(self) -> Answered: ...


def outcome_of(error: StatusError) -> Exception:
    """What to raise: `Later` when asked to wait, `Permanent` for what would be refused again, else `ProviderFailed`."""
    status, said = error.status_code, _said(error)[:300]
    if status == 402 or (status == 429 and "insufficient_quota" in str(error.body)):
        return Later(_UNPAID_S, f"the provider's account has no credit: {said}")
    if status == 429:
        return Later(_wait_s(error.response.headers), f"the provider's rate limit: {said}")
    if 400 <= status < 500 and status not in _MAY_PASS:
        return Permanent(REFUSED, f"the provider answered {status}: {said}")
    return ProviderFailed(f"the provider answered {status}: {said}")


def _said(error: StatusError) -> str:
    """The provider's own words; one SDK hands over the whole body, the other what stands under `error` in it."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, dict) and isinstance(inner.get("message"), str):
            return str(inner["message"])
    return error.message


def _wait_s(headers: Mapping[str, str]) -> float:
    """Seconds in `Retry-After`, which is a number or a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "")
    try:
        wait = float(value)
    except ValueError:
        date = parsedate_tz(value)
        wait = mktime_tz(date) - time.time() if date else _WITHOUT_HEADER_S
    return min(max(wait, 1.0), _LONGEST_S) if wait == wait else _WITHOUT_HEADER_S
