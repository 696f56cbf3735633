"""Whether a changed JSON Schema of an event still fits its consumers and its producers.

Consumers of the old schema must be able to read new events, and consumers of the new one must be able to read old
events that still wait in a queue. So within a version only optional fields may come, and nothing may go or narrow.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_NARROWING_IF_RAISED = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_NARROWING_IF_LOWERED = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Each difference that breaks somebody, as a sentence that begins with the place; empty where there is none."""
    return list(_compare(old, new, old, new, "event"))


def _compare(old: Schema, new: Schema, old_root: Schema, new_root: Schema, place: str) -> Iterator[str]:
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    if "anyOf" in old or "anyOf" in new:
        yield from _compare_alternatives(old, new, old_root, new_root, place)
        return
    for keyword in ("type", "const", "enum", "pattern", "format"):
        if keyword in new and old.get(keyword) != new[keyword]:
            yield f"{place}: {keyword} was {old.get(keyword)!r} and is {new[keyword]!r}"
        elif keyword in old and keyword not in new:
            yield f"{place}: {keyword} {old[keyword]!r} is no longer promised"
    for keyword in (*_NARROWING_IF_RAISED, *_NARROWING_IF_LOWERED):
        raised = keyword in _NARROWING_IF_RAISED
        was, now = old.get(keyword), new.get(keyword)
        if now is not None and (was is None or (now > was if raised else now < was)):
            yield f"{place}: {keyword} was {was} and is {now}"
    yield from _compare_fields(old, new, old_root, new_root, place)
    if "items" in old and "items" in new:
        yield from _compare(old["items"], new["items"], old_root, new_root, f"{place}[]")


def _compare_fields(old: Schema, new: Schema, old_root: Schema, new_root: Schema, place: str) -> Iterator[str]:
    was, now = old.get("properties", {}), new.get("properties", {})
    for name in was:
        if name not in now:
            yield f"{place}.{name}: the field is gone"
        else:
            yield from _compare(was[name], now[name], old_root, new_root, f"{place}.{name}")
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{place}.{name}: the field became required"
    for name in sorted((set(old.get("required", ())) - set(new.get("required", ()))) & set(now)):
        yield f"{place}.{name}: the field is no longer always there"


def _compare_alternatives(old: Schema, new: Schema, old_root: Schema, new_root: Schema, place: str) -> Iterator[str]:
    was = [_resolve(one, old_root) for one in old.get("anyOf", [old])]
    now = [_resolve(one, new_root) for one in new.get("anyOf", [new])]
    for alternative in was:
        same_kind = [other for other in now if other.get("type") == alternative.get("type")]
        problems = [list(_compare(alternative, other, old_root, new_root, place)) for other in same_kind]
        if not problems:
            yield f"{place}: may no longer be {alternative.get('type', 'what it was')}"
        elif all(problems):
            yield from min(problems, key=len)
    for alternative in now:
        if not any(other.get("type") == alternative.get("type") for other in was):
            yield f"{place}: may now be {alternative.get('type', 'something else')}, which consumers do not expect"


def _resolve(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
