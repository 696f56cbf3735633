"""How the index's own column types travel: binary both ways, so that COPY takes them."""

import struct
from collections.abc import Mapping, Sequence
from itertools import chain

import asyncpg
from pgvector.asyncpg import register_vector

_COUNT = struct.Struct("!I")


async def register(connection: asyncpg.Connection) -> None:
    """Teach a connection `halfvec` and `sparsevec` (pgvector's classes) and `tsvector` (lexeme to positions)."""
    await register_vector(connection, schema="public")
    await connection.set_type_codec(
        "tsvector", schema="pg_catalog", encoder=_encode_tsvector, decoder=_decode_tsvector, format="binary"
    )


def _encode_tsvector(value: Mapping[str, Sequence[int]]) -> bytes:
    return _COUNT.pack(len(value)) + b"".join(
        chain.from_iterable(
            (lexeme.encode(), struct.pack(f"!xH{len(places)}H", len(places), *places))
            for lexeme, places in value.items()
        )
    )


def _decode_tsvector(body: bytes) -> dict[str, list[int]]:
    (count,) = _COUNT.unpack_from(body)
    at = _COUNT.size
    found: dict[str, list[int]] = {}
    for _ in range(count):
        end = body.index(b"\0", at)
        (places,) = struct.unpack_from("!H", body, end + 1)
        found[body[at:end].decode()] = list(struct.unpack_from(f"!{places}H", body, end + 3))
        at = end + 3 + 2 * places
    return found
