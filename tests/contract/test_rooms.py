"""What the import contracts cannot see: only settings read the environment, and nobody imports a service's main."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path
    for folder in ("libs", "services", "infra/local")
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
)

WRITES_IT = {
    "libs/models/quire_models/tokens.py": "tells a library, which has no other switch, not to start threads",
    "libs/runtime/quire_runtime/sandbox/worker.py": "gives the child of a job its own environment",
}
"""Modules that set variables and read none, and why."""


def _names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 100


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.name != "settings.py"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_only_settings_read_the_environment(path: Path) -> None:
    reason = WRITES_IT.get(str(path.relative_to(ROOT)))
    assert reason or not {"os.environ", "os.getenv"} & set(_names(path))


@pytest.mark.parametrize("service", sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir()))
def test_a_services_main_is_imported_by_its_entry_alone(service: str) -> None:
    importers = set()
    for path in (ROOT / "services" / service).rglob("*.py"):
        names = {name for name in _names(path) if name.startswith(("main.", f"quire_{service}.main."))}
        if names:
            importers.add(path.name)
    assert importers <= {"__main__.py"}
