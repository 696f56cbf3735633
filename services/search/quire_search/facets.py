# ruff: noqa: S608  (the SQL is made of constants)
"""Facets: how many of the documents found have each value of a field."""

from collections.abc import Mapping
from typing import Final

FIELDS: Final = {
    "type": "SELECT media_type AS value FROM matched",
    "tag": "SELECT unnest(tags) AS value FROM matched",
    "folder": "SELECT folder AS value FROM matched",
    "language": "SELECT language AS value FROM matched",
}
"""Facet to the SQL of its values; `matched` holds the documents found."""

VALUES: Final = 50
"""Values of a facet that are returned: the most frequent ones."""


def columns() -> str:
    """One jsonb object of value to count for each facet, as the columns of a SELECT."""
    return ",\n".join(
        f"(SELECT coalesce(jsonb_object_agg(value, n), '{{}}') FROM (SELECT value, count(*) AS n FROM ({values}) AS v"
        f" WHERE value IS NOT NULL GROUP BY value ORDER BY n DESC, value LIMIT {VALUES}) AS counted) AS {name}"
        for name, values in FIELDS.items()
    )


def ordered(counts: Mapping[str, int]) -> dict[str, int]:
    """Most frequent first, then by value."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
