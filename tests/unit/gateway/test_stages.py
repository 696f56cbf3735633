"""The stages as people see them, for every combination of what can be recorded."""

import itertools
from typing import Any

from quire_gateway.models import STAGES, stages_of

RECORDED = ("pending", "done", "failed")
COMBINATIONS = [
    dict(zip(STAGES, states, strict=True))
    for states in itertools.product(RECORDED, RECORDED, RECORDED, (*RECORDED, "skipped"), RECORDED)
]


def _shown(states: dict[str, str]) -> dict[str, Any]:
    row: Any = {**states, "reasons": {}}
    return {name: stage["status"] for name, stage in stages_of(row).model_dump().items()}


def test_every_combination_gives_a_consistent_picture() -> None:
    for states in COMBINATIONS:
        shown = _shown(states)
        for name, state in states.items():
            assert state in {"pending", shown[name]}, f"what is recorded is shown: {states}"
            if shown[name] == "skipped" and state == "pending":
                assert "failed" in (states["ingest"], states["embed"]), f"only a failure skips a stage: {states}"
        if states["ingest"] == "failed":
            assert "pending" not in {shown[name] for name in ("embed", "index", "enrich")}, f"no text: {states}"
        if states["embed"] == "failed":
            assert shown["index"] != "pending", f"no vectors: {states}"
        if "failed" not in states.values():
            assert shown == states


def test_what_failed_or_was_skipped_says_why_and_nothing_else_does() -> None:
    for states in COMBINATIONS:
        recorded = {name for name, state in states.items() if state in {"failed", "skipped"}}
        row: Any = {**states, "reasons": {name: {"reason": "corrupt", "detail": "Bad."} for name in recorded}}
        for stage in stages_of(row).model_dump().values():
            assert (stage["reason"] is not None) == (stage["status"] in {"failed", "skipped"}), states
            assert (stage["detail"] is None) == (stage["reason"] is None), states


def test_a_document_without_text_says_what_became_of_each_stage() -> None:
    assert _shown({**dict.fromkeys(STAGES, "pending"), "ingest": "failed"}) == {
        "ingest": "failed", "embed": "skipped", "index": "skipped", "preview": "pending", "enrich": "skipped",
    }  # fmt: skip
    assert _shown({**dict.fromkeys(STAGES, "pending"), "ingest": "done", "embed": "failed"}) == {
        "ingest": "done", "embed": "failed", "index": "skipped", "preview": "pending", "enrich": "pending",
    }  # fmt: skip
