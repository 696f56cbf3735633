"""Packing a payload into an event, or beside it into the store where it is too large."""

from typing import TypeVar

from pydantic import TypeAdapter

from quire_contracts.blob import INLINE_LIMIT, Blob

from .storage import Store

T = TypeVar("T")


async def pack(store: Store, key: str, value: T, kind: type[T]) -> Blob[T]:
    """`value` inline where its JSON has at most `INLINE_LIMIT` bytes, otherwise written to `key`."""
    body = TypeAdapter(kind).dump_json(value)
    if len(body) <= INLINE_LIMIT:
        return Blob[kind](inline=value, size=len(body))  # type: ignore[valid-type]
    await store.put(key, body)
    return Blob[kind](key=key, size=len(body))  # type: ignore[valid-type]


async def unpack(store: Store, blob: Blob[T], kind: type[T]) -> T:
    """The payload, wherever it is. Raises `ObjectNotFound` where its object is gone."""
    if blob.key is None:
        assert blob.inline is not None  # the contract says one of the two is set
        return blob.inline
    return TypeAdapter(kind).validate_json(await store.get(blob.key))
