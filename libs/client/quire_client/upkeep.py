"""The operator's long work: sweeping, comparing catalog, index and store, and making the index anew."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal, TypeVar

import httpx
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from .errors import QuireError, Unreachable
from .transport import BROKEN, Transport, parsed

Line = TypeVar("Line")

SILENCE_S = 960.0
"""The server says how far it is all the time, but while it empties the index or reads a long content."""
SWEEP_TIMEOUT_S = 3600.0
"""Everything in the store may have to be listed."""


class Swept(BaseModel):
    """What a pass of the sweeper did, in documents; None where it was not the time to look through the store."""

    replayed: int = 0
    failed: int = 0
    waiting: int = 0
    objects: int | None = None
    uploads: int | None = None


class WorkProgress(BaseModel):
    """How far it is; `total` is None where that cannot be known, `rate` is a second."""

    type: Literal["progress"] = "progress"
    phase: str
    done: int
    total: int | None = None
    rate: float | None = None
    paused: bool = False
    """It waits until others have taken what was given to them."""


class Difference(BaseModel):
    """One thing that is not as the catalog has it; `repaired` where what mends it is under way."""

    type: Literal["difference"] = "difference"
    kind: str
    document: str
    workspace: str
    detail: str
    repaired: bool


class Reconciled(BaseModel):
    """The end of a comparison."""

    type: Literal["summary"] = "summary"
    documents: int
    processing: int
    """Left out: they are not done yet."""
    moving: int
    """Left out: they have changed just now."""
    differences: dict[str, int]
    repaired: int
    unrepaired: int
    took_s: float


class Rebuilt(BaseModel):
    """The end of a rebuilding; `waiting` events were not taken by the search service in good time."""

    type: Literal["summary"] = "summary"
    documents: int
    events: int
    waiting: int
    took_s: float


class _Failed(BaseModel):
    type: Literal["error"]
    code: str
    detail: str


_RECONCILE: TypeAdapter[WorkProgress | Difference | Reconciled | _Failed] = TypeAdapter(
    Annotated[WorkProgress | Difference | Reconciled | _Failed, Field(discriminator="type")]
)
_REBUILD: TypeAdapter[WorkProgress | Rebuilt | _Failed] = TypeAdapter(
    Annotated[WorkProgress | Rebuilt | _Failed, Field(discriminator="type")]
)


class Upkeep:
    """`quire.upkeep`; needs an API key with the scope `operator`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def sweep(self) -> Swept:
        """Look for stuck documents now; 409 where a gateway is at it."""

        def build() -> httpx.Request:
            return self._transport.client.build_request("POST", "admin/sweep", timeout=SWEEP_TIMEOUT_S)

        return parsed(Swept, await self._transport.send(build, twice=False))

    async def reconcile(
        self, *, repair: bool = False, checksums: bool = False
    ) -> AsyncIterator[WorkProgress | Difference | Reconciled]:
        """Compare catalog, index and store; ends with a Reconciled. 409 where it is done at this moment."""
        parameters = {"repair": repair, "checksums": checksums}
        async for line in self._lines("admin/reconcile", params=parameters):
            found = _read(_RECONCILE, line)
            if isinstance(found, _Failed):
                raise QuireError(200, found.code, found.detail)
            yield found

    async def rebuild_index(self) -> AsyncIterator[WorkProgress | Rebuilt]:
        """Empty the index and make it anew; ends with a Rebuilt. 409 where it is done, or compared, at this moment."""
        async for line in self._lines("admin/rebuild-index", json={"confirm": True}):
            found = _read(_REBUILD, line)
            if isinstance(found, _Failed):
                raise QuireError(200, found.code, found.detail)
            yield found

    async def _lines(
        self, path: str, *, params: dict[str, bool] | None = None, json: dict[str, bool] | None = None
    ) -> AsyncIterator[str]:
        """Lines up to the last one; raises where the answer ends before it."""
        timeout = httpx.Timeout(SILENCE_S, connect=5, pool=None)

        def build() -> httpx.Request:
            return self._transport.client.build_request("POST", path, params=params, json=json, timeout=timeout)

        last = ""
        try:
            async with self._transport.stream(build, twice=False) as response:
                async for last in response.aiter_lines():
                    yield last
        except BROKEN as error:
            raise Unreachable(self._transport.url, error) from error
        if '"summary"' not in last and '"error"' not in last:
            raise Unreachable(self._transport.url, ConnectionError("the answer ended too early"))


def _read(kind: TypeAdapter[Line], line: str) -> Line:
    try:
        return kind.validate_json(line)
    except ValidationError as error:
        raise QuireError(200, "unexpected_answer", f"That is no line of ours: {error.errors()[0]['msg']}") from error
