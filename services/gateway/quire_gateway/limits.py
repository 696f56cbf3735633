"""How much a request may send: only an upload may be long, everything else is small JSON."""

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import Problem, respond

MAX_BODY_BYTES = 1024 * 1024
UPLOAD = ("POST", "/api/v1/documents")
"""It has a limit of its own."""


class SmallBodies:
    """Refuses a body beyond 1 MiB before the app reads it, and cuts one that is longer than it said."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) == UPLOAD:
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
            await respond(Request(scope), too_long())(scope, receive, send)
            return
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise too_long()
            return message

        await self._app(scope, bounded, send)


def too_long() -> Problem:
    """For a body that is no upload and too long."""
    return Problem(413, "too_large", f"A request that is no upload has at most {MAX_BODY_BYTES} bytes.")
