"""The AsyncAPI 3.0 document of the events: what is published, and who takes it."""

from typing import Any

from .event import CONTENT_TYPE
from .events import EVENTS
from .topology import TABLE, Topology


def document() -> dict[str, Any]:
    """The document, made of the event classes and the topology table."""
    topology = Topology()
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for event in EVENTS:
        name, key = event.__name__, event.type_name()
        schema = event.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
        messages[name] = {
            "name": key,
            "title": name,
            "summary": event.__doc__,
            "contentType": CONTENT_TYPE,
            "payload": {"$ref": f"#/components/schemas/{name}"},
        }
        channels[name] = {
            "address": key,
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {
                "amqp": {
                    "is": "routingKey",
                    "exchange": {"name": topology.events, "type": "topic", "durable": True, "autoDelete": False},
                }
            },
        }
        producers = [event.producer] if event.producer != "*" else [row.service for row in TABLE if row.stage]
        for producer in producers:
            operations[f"{producer}.publishes.{name}"] = _operation("send", name, f"{producer} publishes it")
    for row in TABLE:
        for event in row.takes:
            queue = topology.work_queue(row.service)
            operations[f"{row.service}.takes.{event.__name__}"] = _operation(
                "receive", event.__name__, f"{row.service} takes it from {queue}"
            )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Quire events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in structured JSON, on a topic exchange; the routing key is the type. "
            "Bind a queue of your own to the types you want; deduplicate by `id`; ignore fields you do not know.",
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"broker": {"host": "localhost:5672", "protocol": "amqp", "protocolVersion": "0.9.1"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _operation(action: str, event: str, summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{event}"},
        "messages": [{"$ref": f"#/channels/{event}/messages/{event}"}],
        "summary": summary,
    }
