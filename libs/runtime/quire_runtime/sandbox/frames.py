"""Length-prefixed JSON, the only thing that crosses between the parent, the zygote and the workers (never pickle)."""

import socket
import struct
from typing import Any

import orjson

HEADER = struct.Struct("!I")


def encode(message: Any) -> bytes:
    """One message as bytes; raises TypeError when it is no JSON value."""
    body = orjson.dumps(message)
    return HEADER.pack(len(body)) + body


def take(buffer: bytearray) -> Any | None:
    """Removes and returns the first whole message of `buffer`; None while there is none. The peer is trusted."""
    if len(buffer) < HEADER.size:
        return None
    end = HEADER.size + HEADER.unpack_from(buffer)[0]
    if len(buffer) < end:
        return None
    message = orjson.loads(bytes(buffer[HEADER.size : end]))
    del buffer[:end]
    return message


def receive(sock: socket.socket) -> Any | None:
    """Blocks for one message of a trusted peer; None when the peer is gone."""
    header = _exactly(sock, HEADER.size)
    body = _exactly(sock, HEADER.unpack(header)[0]) if header else None
    return orjson.loads(body) if body else None


def _exactly(sock: socket.socket, size: int) -> bytes | None:
    chunks = bytearray()
    while len(chunks) < size:
        piece = sock.recv(size - len(chunks))
        if not piece:
            return None
        chunks += piece
    return bytes(chunks)
