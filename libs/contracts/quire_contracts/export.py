"""`make contracts`: writes the schemas, the examples, the AsyncAPI document and docs/events.md, or refuses.

A committed schema is what other systems build on, so a change that breaks it is refused: publish a new class with the
next version in its type instead. A committed example is kept for ever, because events like it may still be in a queue.
"""

import json
import sys
from pathlib import Path
from typing import Any

from . import asyncapi, events_page
from .compatibility import breaking_changes
from .event import Event
from .events import EVENTS
from .golden import golden

PACKAGE = Path(__file__).parent
SCHEMAS = PACKAGE / "schemas"
EXAMPLES = PACKAGE / "examples"


def schema(kind: type[Event]) -> dict[str, Any]:
    """The JSON Schema of an event as it is published."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:quire:event:{kind.type_name()}",
        **kind.model_json_schema(mode="serialization"),
    }


def generated(docs: Path) -> dict[Path, str]:
    """Every generated file with its content."""
    files = {SCHEMAS / f"{kind.type_name()}.json": _pretty(schema(kind)) for kind in EVENTS}
    files |= {EXAMPLES / f"{kind.type_name()}.json": _pretty(json.loads(golden(kind).to_json())) for kind in EVENTS}
    files[docs / "api" / "asyncapi.json"] = _pretty(asyncapi.document())
    files[docs / "events.md"] = events_page.page()
    return files


def broken(files: dict[Path, str]) -> list[str]:
    """What the generated schemas would break of the committed ones."""
    return [
        f"{path.stem}: {problem}"
        for path, content in files.items()
        if path.parent == SCHEMAS and path.exists()
        for problem in breaking_changes(json.loads(path.read_text()), json.loads(content))
    ]


def _pretty(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main(docs: Path = Path("docs")) -> None:
    """Write everything below the current folder's docs/ and into this package."""
    files = generated(docs)
    problems = broken(files)
    if problems:
        listed = "\n  ".join(problems)
        sys.exit(f"refused, this breaks systems that use the events:\n  {listed}\nPublish a new type …v2 beside it.")
    for path, content in files.items():
        if path.parent == EXAMPLES and path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    sys.stdout.write(f"{len(files)} files are up to date\n")


if __name__ == "__main__":
    main()
