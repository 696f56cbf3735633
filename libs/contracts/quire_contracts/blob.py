"""The claim check: a payload that rides inside its event while it is small, and is an object in storage otherwise."""

from typing import Generic, Self, TypeVar

from pydantic import Field, model_validator

from .event import MAX_EVENT_BYTES, Contract

T = TypeVar("T")

INLINE_LIMIT = MAX_EVENT_BYTES - 12 * 1024
"""Largest JSON of a payload, in bytes, that stays inline; the rest is for the envelope and the catalog's entry."""


class Blob(Contract, Generic[T]):
    """A payload of type T: `inline`, or the JSON object stored under `key`. Exactly one of the two is set."""

    inline: T | None = Field(default=None, description="The payload itself")
    key: str | None = Field(default=None, description="Object-storage key of the payload's JSON")
    size: int = Field(ge=0, description="Length of the payload's JSON in bytes")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.inline is None) == (self.key is None):
            raise ValueError("a blob is either inline or a key")
        return self
