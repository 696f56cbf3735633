"""What `status` prints and when it calls a stack well."""

import io
from typing import Any

import pytest
from rich.console import Console

from quire_local import status


def report(problem: str = "", state: str = "ready") -> dict[str, Any]:
    row = {
        "name": "embedder-2", "pid": 4711, "port": 40123, "state": "ready", "since": 0.0, "restarts": 7,
        "problem": problem, "memory_mb": 122.4, "cpu_percent": 3.0,
    }  # fmt: skip
    depths = [
        {"queue": "quire.embedder", "messages": 12, "consumers": 2},
        {"queue": "quire.embedder.bulk", "messages": 9, "consumers": 2},
        {"queue": "quire.embedder.retry.10s", "messages": 34, "consumers": 0},
        {"queue": "quire.embedder.parked", "messages": 56, "consumers": 0},
        {"queue": "quire.search", "messages": None, "consumers": None},
    ]
    return {"state": state, "processes": [row], "queues": depths, "dead_letters": {"embedder": 7}}


def printed(what: dict[str, Any]) -> dict[str, list[str]]:
    """The words of each printed line, by its first word."""
    output = io.StringIO()
    status.show(what, Console(file=output, width=160))
    return {words[0]: words[1:] for words in map(str.split, output.getvalue().splitlines()) if words}


def test_a_process_is_shown_with_its_health_memory_and_restarts() -> None:
    words = printed(report())["embedder-2"]
    assert {"4711", "40123", "7", "ok", "122", "3%"} <= set(words)
    assert "refused" in printed(report("connection refused"))["embedder-2"]


def test_each_service_has_a_line_with_its_queues_and_dead_letters() -> None:
    lines = printed(report())
    assert lines["embedder"] == ["2", "12", "9", "-", "34", "-", "-", "63"], "7 in the catalog, 56 not there yet"
    assert lines["search"] == [*["-"] * 7, "0"]


@pytest.mark.parametrize(
    ("what", "well"), [(report(), True), (report("refused"), False), (report(state="starting"), False)]
)
def test_a_stack_is_well_when_it_is_ready_and_nothing_has_a_problem(what: dict[str, Any], well: bool) -> None:
    assert status.all_well(what) is well
