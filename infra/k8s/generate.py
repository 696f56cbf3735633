"""`make contracts`: writes what Kubernetes has to know of the topology's table and of the alerts.

One ScaledObject for each row of the table: KEDA keeps one worker for each `scale_at` messages that wait in its queue,
or in the queue for bulk, whichever asks for more.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from quire_contracts.topology import TABLE, Consumer, Topology

HERE = Path(__file__).parent
ALERTS = HERE.parent / "observability" / "alerts.yaml"
HEADER = "# Written by infra/k8s/generate.py: change {source}, then run `make contracts`.\n"

ANSWERS_REQUESTS = ("gateway", "search")
"""Services that also work on requests, which no queue shows: two of them at least, and more by processor."""
MAX_REPLICAS = 10


def scaled_object(row: Consumer) -> dict[str, Any]:
    """The KEDA ScaledObject of a service."""
    topology = Topology()
    triggers: list[dict[str, Any]] = [
        {
            "type": "rabbitmq",
            # By AMQP only waiting messages count, not those in a worker's hand: that is what `scale_at` means.
            "metadata": {"protocol": "amqp", "mode": "QueueLength", "queueName": queue, "value": str(row.scale_at)},
            "authenticationRef": {"name": "rabbitmq"},
        }
        for queue in topology.taken_from(row.service)
    ]
    requests = row.service in ANSWERS_REQUESTS
    if requests:
        triggers.append({"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}})
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": row.service},
        "spec": {
            "scaleTargetRef": {"name": row.service},
            "pollingInterval": 15,
            # Never none: what nobody consumes is an alert, and a first document would wait for a pod to start.
            "minReplicaCount": 2 if requests else 1,
            "maxReplicaCount": MAX_REPLICAS,
            "triggers": triggers,
        },
    }


def generated() -> dict[Path, str]:
    """Every generated file with its content."""
    alerts = yaml.safe_load(ALERTS.read_text())
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "quire"},
        "spec": alerts,
    }
    return {
        HERE / "components" / "keda" / "scaled-objects.yaml": _document(
            "the table in quire_contracts/topology.py", [scaled_object(row) for row in TABLE]
        ),
        HERE / "components" / "observability" / "prometheus-rule.yaml": _document(
            "infra/observability/alerts.yaml", [rule]
        ),
    }


def _document(source: str, objects: list[dict[str, Any]]) -> str:
    return HEADER.format(source=source) + yaml.safe_dump_all(objects, sort_keys=False, width=120)


def main() -> None:
    """Write the files."""
    for path, content in generated().items():
        path.write_text(content)
    sys.stdout.write(f"{len(generated())} manifests are up to date\n")


if __name__ == "__main__":
    main()
