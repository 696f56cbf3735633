"""The control socket: one JSON line asks the supervisor, JSON lines answer until it closes the connection."""

import asyncio
import contextlib
import json
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

Message = dict[str, Any]
Handler = Callable[[Message], AsyncIterator[Message]]

# sockaddr_un holds 104 bytes on macOS and 108 on Linux.
LONGEST_PATH = 100


class NotRunning(ConnectionError):
    """No supervisor answers for this home."""


class Refused(RuntimeError):
    """The supervisor understood and said no; the text says why."""


async def serve(home: Path, handler: Handler) -> asyncio.Server:
    """Listen on `run/control.sock`; only the owner of the stack can connect."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            try:
                line = await reader.readline()
                if not line:
                    return
                async for message in handler(json.loads(line)):
                    writer.write(json.dumps(message).encode() + b"\n")
                    await writer.drain()
            except Exception as error:
                writer.write(json.dumps({"error": str(error) or type(error).__name__}).encode() + b"\n")

    path = _socket_path(home)
    path.unlink(missing_ok=True)
    with _short(path) as short:
        server = await asyncio.start_unix_server(answer, short)
    path.chmod(0o600)
    return server


def ask(home: Path, request: Message, timeout_s: float = 120) -> Iterator[Message]:
    """Send one request and yield the answers; raises NotRunning, Refused, or TimeoutError after silence that long."""
    path = _socket_path(home)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            with _short(path) as short:
                connection.connect(short)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile() as lines:
                for line in lines:
                    message = json.loads(line)
                    if "error" in message:
                        raise Refused(message["error"])
                    yield message
        except (FileNotFoundError, ConnectionError) as error:
            raise NotRunning(f"no stack runs in {home}") from error


def answers(home: Path) -> bool:
    """Whether a supervisor accepts connections."""
    with socket.socket(socket.AF_UNIX) as connection, _short(_socket_path(home)) as short:
        return connection.connect_ex(short) == 0


def _socket_path(home: Path) -> Path:
    return home / "run" / "control.sock"


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The path, by way of a link in the temp folder where it is too long for a socket address."""
    if len(str(path).encode()) <= LONGEST_PATH:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="quire-") as folder:
        link = Path(folder) / "run"
        link.symlink_to(path.parent, target_is_directory=True)
        yield str(link / path.name)
