"""Opaque cursors of lists: signed, and bound to the filters they were made for."""

import base64
import hashlib
import hmac
from typing import Any

import orjson

from .problems import Problem

_SIGNATURE_BYTES = 16


def seal(secret: str, position: list[Any], bound_to: Any) -> str:
    """A cursor that says where the next page begins."""
    body = orjson.dumps(position)
    return base64.urlsafe_b64encode(_signature(secret, body, bound_to) + body).decode().rstrip("=")


def unseal(secret: str, cursor: str, bound_to: Any) -> list[Any]:
    """The position in a cursor of ours. Raises a 400 problem where it is not, or belongs to other filters."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raw = b""
    signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not body or not hmac.compare_digest(signature, _signature(secret, body, bound_to)):
        raise Problem(400, "bad_cursor", "The cursor is not one of ours, or belongs to another sort or filter.")
    position: list[Any] = orjson.loads(body)
    return position


def _signature(secret: str, body: bytes, bound_to: Any) -> bytes:
    message = body + b"\0" + orjson.dumps(bound_to, option=orjson.OPT_SORT_KEYS)
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
