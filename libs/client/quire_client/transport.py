"""Requests with the rules of what is tried again, and for how long."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from .errors import QuireError, Unreachable, error_of

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
BUSY = frozenset({429, 503})
BROKEN = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError, httpx.ProxyError)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)

Answer = TypeVar("Answer", bound=BaseModel)
Build = Callable[[], httpx.Request]


class _Page(BaseModel, Generic[Answer]):
    data: list[Answer]
    next_cursor: str | None = None


class Transport:
    """Sends requests to one server.

    429 and 503 are tried again after `Retry-After`, and so is a connection that could not be made. A connection that
    broke is tried again where the request may be carried out twice. All of it ends `patience` seconds after the first
    try; then the last error is raised.
    """

    def __init__(self, url: str, api_key: str, patience: float) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        self.client = httpx.AsyncClient(
            base_url=f"{self.url}/api/v1/",
            headers={"X-API-Key": api_key, "User-Agent": "quire-client"},
            timeout=httpx.Timeout(60, connect=5, pool=None),
            trust_env=not _is_loopback(httpx.URL(self.url).host),
        )

    async def send(self, build: Build, *, twice: bool = True, again: bool = True) -> httpx.Response:
        """The answer, read whole. `twice`: it may be carried out twice. `again`: its body can be sent again."""
        async with self.stream(build, twice=twice, again=again, read=True) as response:
            return response

    @asynccontextmanager
    async def stream(
        self, build: Build, *, twice: bool = True, again: bool = True, read: bool = False
    ) -> AsyncIterator[httpx.Response]:
        """The answer with its body to be read; a body that breaks raises httpx errors (`BROKEN`)."""
        response = await self._persist(build, twice=twice, again=again, read=read)
        try:
            yield response
        finally:
            await response.aclose()

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        """GET; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return await self.send(lambda: self.client.build_request("GET", path, params=given))

    async def items(self, kind: type[Answer], path: str, **parameters: Any) -> AsyncIterator[Answer]:
        """GET a list, page after page, as models of its items."""
        cursor: str | None = None
        while True:
            page = parsed(_Page[kind], await self.get(path, **parameters, cursor=cursor))  # type: ignore[valid-type]
            for item in page.data:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _persist(self, build: Build, *, twice: bool, again: bool, read: bool) -> httpx.Response:
        deadline = time.monotonic() + self.patience
        pause = FIRST_PAUSE_S
        while True:
            wait = pause * random.uniform(0.5, 1)  # noqa: S311
            try:
                response = await self.client.send(build(), stream=True)
                if response.is_success:
                    if read:
                        await response.aread()
                    return response
                await response.aread()
                await response.aclose()
            except httpx.InvalidURL as error:
                raise Unreachable(self.url, error) from error
            except httpx.TransportError as error:
                failure: QuireError = Unreachable(self.url, error)
                may = again and isinstance(error, BROKEN) and (twice or isinstance(error, _NEVER_SENT))
            else:
                failure = error_of(response)
                may = again and response.status_code in BUSY
                wait = max(wait, retry_after(response.headers.get("retry-after", "")))
            if not may or time.monotonic() + wait > deadline:
                raise failure
            await asyncio.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE_S)


def retry_after(header: str) -> float:
    """Seconds that a `Retry-After` header asks for, given as a number or as a date; 0 where it says nothing."""
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def parsed(kind: type[Answer], response: httpx.Response) -> Answer:
    """The answer as a model; QuireError `unexpected_answer` where it is something else."""
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        detail = f"{response.url} does not answer like Quire: {error.errors()[0]['msg']}"
        raise QuireError(response.status_code, "unexpected_answer", detail) from error


def _is_loopback(host: str) -> bool:
    """A proxy from the environment can never reach these."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
