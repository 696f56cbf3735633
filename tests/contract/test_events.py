"""What other systems build on: schemas, examples, the AsyncAPI document, the topology."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from quire_contracts import EVENTS, TABLE, Event, Topology, parse_event
from quire_contracts.compatibility import breaking_changes
from quire_contracts.export import EXAMPLES, SCHEMAS, generated, schema
from tests.support import examples

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("path", sorted(generated(DOCS)), ids=lambda path: path.name)
def test_a_generated_file_is_committed_as_it_would_be_generated(path: Path) -> None:
    assert path.exists(), f"{path.name} is missing: run `make contracts`"
    assert path.read_text() == generated(DOCS)[path], f"{path.name} is out of date: run `make contracts`"


def test_there_is_a_schema_and_an_example_for_each_event_and_for_nothing_else() -> None:
    names = {f"{event.type_name()}.json" for event in EVENTS}
    assert {path.name for path in SCHEMAS.iterdir()} == names
    assert {path.name for path in EXAMPLES.iterdir()} == names


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_a_committed_example_is_still_understood_and_valid(kind: type[Event]) -> None:
    body = (EXAMPLES / f"{kind.type_name()}.json").read_text()
    event = parse_event(body)
    assert type(event) is kind
    assert json.loads(event.to_json()) == json.loads(body)
    jsonschema.Draft202012Validator(schema(kind), format_checker=jsonschema.FormatChecker()).validate(json.loads(body))


@pytest.mark.parametrize("event", examples.one_of_each(), ids=lambda event: type(event).__name__)
def test_what_is_published_is_valid_against_the_committed_schema(event: Event) -> None:
    committed = json.loads((SCHEMAS / f"{event.type}.json").read_text())
    jsonschema.Draft202012Validator(committed).validate(json.loads(event.to_json()))


@pytest.mark.parametrize("event", examples.one_of_each(), ids=lambda event: type(event).__name__)
def test_an_event_survives_its_own_json(event: Event) -> None:
    assert parse_event(event.to_json()) == event


def test_every_event_has_somebody_who_takes_it_and_a_producer_in_the_table() -> None:
    services = {row.service for row in TABLE}
    for event in EVENTS:
        assert any(event in row.takes for row in TABLE), f"nobody takes {event.__name__}: it would be unrouted"
        assert event.producer in services | {"*"}


def test_only_arguments_that_both_broker_versions_know_are_used() -> None:
    known = {
        "x-queue-type", "x-overflow", "x-max-length-bytes", "x-delivery-limit", "x-dead-letter-exchange",
        "x-dead-letter-routing-key", "x-dead-letter-strategy", "x-message-ttl",
    }  # fmt: skip
    for queue in Topology().queues():
        assert set(queue.arguments) <= known
        assert queue.arguments["x-queue-type"] == "quorum"
        assert queue.arguments["x-overflow"] == "reject-publish"


def test_every_binding_joins_an_exchange_and_a_queue_that_exist() -> None:
    topology = Topology()
    exchanges = {exchange.name for exchange in topology.exchanges()}
    queues = {queue.name for queue in topology.queues()}
    for binding in topology.bindings():
        assert binding.exchange in exchanges
        assert binding.queue in queues
    for queue in topology.queues():
        dead_letters = queue.arguments.get("x-dead-letter-exchange")
        assert dead_letters is None or dead_letters in exchanges


def test_the_contracts_can_be_imported_with_pydantic_alone() -> None:
    program = (
        "import sys, quire_contracts, quire_contracts.export\n"
        "foreign = {name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(name for name in foreign if not name.startswith('_')))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert set(eval(printed)) <= {
        "quire_contracts", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection",
        "sitecustomize", "usercustomize",
    }  # fmt: skip


def _changed(change: Any) -> list[str]:
    old = schema(EVENTS[1])
    new = copy.deepcopy(old)
    change(new)
    return breaking_changes(old, new)


def test_a_new_optional_field_breaks_nobody() -> None:
    assert _changed(lambda new: new["$defs"]["TextExtractedData"]["properties"].update(mood={"type": "string"})) == []


def _data(schema: dict[str, Any]) -> Any:
    return schema["$defs"]["TextExtractedData"]


def _language(schema: dict[str, Any]) -> Any:
    return _data(schema)["properties"]["language"]["anyOf"]


def _start_of_chunk(schema: dict[str, Any]) -> Any:
    return schema["$defs"]["Chunk"]["properties"]["start"]


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("field is gone", lambda new: _data(new)["properties"].pop("language")),
        ("became required", lambda new: _data(new)["required"].append("language")),
        ("no longer always", lambda new: _data(new)["required"].remove("text_key")),
        ("type was", lambda new: _start_of_chunk(new).update(type="string")),
        ("minimum was", lambda new: _start_of_chunk(new).update(minimum=1)),
        ("const was", lambda new: new["properties"]["type"].update(const="quire.text.extracted.v2")),
        ("may no longer be string", lambda new: _language(new).pop(0)),
        ("may now be integer", lambda new: _language(new).append({"type": "integer"})),
    ],
)
def test_a_breaking_change_is_named(what: str, change: Any) -> None:
    problems = _changed(change)
    assert any(what in problem for problem in problems), problems
