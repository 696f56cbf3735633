"""Who is asking: API keys of a workspace."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Annotated

import asyncpg
from fastapi import Depends, Request

from . import db
from .problems import Problem

KEY_PREFIX = "qk_"
_CACHE_LIMIT = 10_000


@dataclass(frozen=True)
class Caller:
    """An authenticated caller."""

    workspace: str
    key: str
    scopes: frozenset[str] = frozenset()


def new_key() -> str:
    """A fresh API key: a prefix that scanners recognise and 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).digest()


class Keys:
    """Looks API keys up; an answer is remembered for a few seconds, also the answer that a key is unknown."""

    def __init__(self, pool: asyncpg.Pool, cache_s: float) -> None:
        self._pool = pool
        self._cache_s = cache_s
        self._known: dict[bytes, tuple[float, Caller | None]] = {}

    async def caller(self, key: str) -> Caller | None:
        """Whose key it is; None where it is unknown or revoked."""
        hashed = key_hash(key)
        now = time.monotonic()
        found = self._known.get(hashed)
        if found is not None and found[0] > now:
            return found[1]
        row = await db.key_owner(self._pool, hashed)
        caller = Caller(row["workspace_id"], row["id"], frozenset(row["scopes"])) if row else None
        if len(self._known) >= _CACHE_LIMIT:
            self._known.clear()
        self._known[hashed] = (now + self._cache_s, caller)
        return caller


async def authenticate(request: Request) -> Caller:
    """The caller of a request, by `X-API-Key` or `Authorization: Bearer`. Raises a 401 problem."""
    key = request.headers.get("x-api-key") or ""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not key and scheme.lower() == "bearer":
        key = token.strip()
    keys: Keys = request.app.state.keys
    caller = await keys.caller(key) if key.startswith(KEY_PREFIX) and len(key) < 200 else None
    if caller is None:
        detail = "The API key is not valid." if key else "Give an API key as X-API-Key or as Authorization: Bearer."
        raise Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="quire"'})
    return caller


Authenticated = Annotated[Caller, Depends(authenticate)]


async def operate(caller: Authenticated) -> Caller:
    """A caller who looks after the whole installation. Raises a 403 problem."""
    if "operator" not in caller.scopes:
        raise Problem(403, "forbidden", "This needs a key with the scope `operator`.")
    return caller


Operator = Annotated[Caller, Depends(operate)]
