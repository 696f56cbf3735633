"""What a stack remembers between runs: ports, replica counts, passwords and the processes it started."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace the file whole, so that a reader or a crash never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in the file; empty when the file is missing or was damaged."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


class State:
    """`run/state.json`: the port of every listener and the wanted replicas of every scaled process."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / "state.json"

    def ports(self) -> dict[str, int]:
        return {str(name): int(port) for name, port in read_json(self._path).get("ports", {}).items()}

    def replicas(self) -> dict[str, int]:
        return {str(name): int(count) for name, count in read_json(self._path).get("replicas", {}).items()}

    def remember_port(self, name: str, port: int) -> None:
        self._merge("ports", {name: port})

    def remember_replicas(self, name: str, count: int) -> None:
        self._merge("replicas", {name: count})

    def _merge(self, key: str, values: Mapping[str, int]) -> None:
        content = read_json(self._path)
        content[key] = {**content.get(key, {}), **values}
        write_atomically(self._path, json.dumps(content, indent=1, sort_keys=True))


def secret(home: Path, name: str) -> str:
    """The stack's password of that name, made on first use; only the owner can read the file."""
    path = home / "run" / "secrets.json"
    content = read_json(path)
    if name not in content:
        content[name] = secrets.token_urlsafe(24)
        write_atomically(path, json.dumps(content, indent=1, sort_keys=True))
    return str(content[name])
