"""Images, Compose, Kubernetes and monitoring agree with the topology's table, the settings and the metrics."""

import importlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra.k8s.generate import generated
from prometheus_client.metrics import MetricWrapperBase

from quire_contracts.topology import TABLE, Topology
from quire_gateway import metrics as gateway_metrics
from quire_runtime import metrics
from quire_runtime.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "infra" / "compose" / "compose.yaml"
BASE = ROOT / "infra" / "k8s" / "base"
PRODUCTION = ROOT / "infra" / "k8s" / "overlays" / "production" / "kustomization.yaml"
POLICIES = ROOT / "infra" / "k8s" / "components" / "network-policies" / "policies.yaml"
ALERTS = ROOT / "infra" / "observability" / "alerts.yaml"
DASHBOARD = ROOT / "infra" / "observability" / "dashboard.json"
PROMETHEUS = ROOT / "infra" / "observability" / "prometheus.yaml"

SERVICES = [row.service for row in TABLE]
FROM_RABBITMQ = {"rabbitmq_queue_messages_ready", "rabbitmq_queue_messages_unacked", "rabbitmq_queue_consumers"}
"""What we use of RabbitMQ's own metrics per object, as 3.10 and 4.x both name them."""


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _objects(kind: str) -> dict[str, Any]:
    """The objects of a kind that the base really includes, by name."""
    files = [BASE / name for name in _yaml(BASE / "kustomization.yaml")["resources"]]
    found = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


def _pod(workload: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = workload["spec"]["template"]["spec"]
    return pod


def _patch(name: str) -> dict[str, Any]:
    return _pod(_yaml(BASE / name))


def _dockerfile(service: str) -> str:
    return (ROOT / "services" / service / "Dockerfile").read_text()


def _settings(service: str) -> type[ServiceSettings]:
    module = importlib.import_module(f"quire_{service}.settings")
    return next(
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, ServiceSettings) and each is not ServiceSettings
    )


def _service_of_image(image: str) -> str:
    match = re.match(r"quire-(\w+)", image)
    assert match, f"{image} is not an image of ours"
    return match[1]


def _kubernetes_variables() -> Iterator[tuple[str, str]]:
    """Each variable with the service whose image gets it."""
    maps = {
        each["name"]: [literal.partition("=")[0] for literal in each["literals"]]
        for each in _yaml(BASE / "kustomization.yaml")["configMapGenerator"]
    }
    for kind, patch in (("Deployment", "pod.yaml"), ("Job", "job.yaml")):
        for workload in _objects(kind).values():
            for container in (*_pod(workload)["containers"], *_patch(patch)["containers"]):
                service = _service_of_image(_pod(workload)["containers"][0]["image"])
                for variable in container.get("env", ()):
                    yield service, variable["name"]
                for source in container.get("envFrom", ()):
                    yield from ((service, name) for name in maps[source["configMapRef"]["name"]])


def _compose_variables() -> Iterator[tuple[str, str]]:
    for container in _yaml(COMPOSE)["services"].values():
        if container["image"].startswith("quire-"):
            yield from ((_service_of_image(container["image"]), name) for name in container["environment"])


def _image_variables() -> Iterator[tuple[str, str]]:
    for service in SERVICES:
        final = _dockerfile(service).rpartition("FROM ")[2]
        yield from ((service, name) for name in re.findall(r"\b(QUIRE_\w+)=", final))


def test_the_generated_manifests_are_those_of_the_table_and_the_alerts() -> None:
    for path, content in generated().items():
        assert path.read_text() == content, f"{path.name} is out of date: run `make contracts`"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_of_the_table_is_deployed_everywhere(service: str) -> None:
    assert f'ENTRYPOINT ["python", "-m", "quire_{service}"]' in _dockerfile(service)
    assert service in _yaml(COMPOSE)["services"]
    assert service in _objects("Deployment")
    assert service in _objects("PodDisruptionBudget")
    assert f"quire-{service}" in {image["name"] for image in _yaml(PRODUCTION)["images"]}
    assert service in _yaml(PROMETHEUS)["scrape_configs"][0]["dns_sd_configs"][0]["names"]


def test_nothing_is_deployed_that_is_not_in_the_table() -> None:
    assert sorted(_objects("Deployment")) == sorted(SERVICES)
    ours = {name for name, each in _yaml(COMPOSE)["services"].items() if each["image"].startswith("quire-")}
    assert ours - set(SERVICES) == {"migrate-catalog", "migrate-search", "bootstrap"}


def test_every_pod_that_reaches_something_is_allowed_to() -> None:
    policies = {each["metadata"]["name"]: each for each in yaml.safe_load_all(POLICIES.read_text())}

    def pods(policy: str) -> list[str]:
        return sorted(policies[policy]["spec"]["podSelector"]["matchExpressions"][0]["values"])

    assert pods("services") == sorted(SERVICES)
    users = {
        _pod(each)["containers"][0]["image"].removeprefix("quire-")
        for each in (*_objects("Deployment").values(), *_objects("Job").values())
        if "QUIRE_DATABASE_URL" in json.dumps(each) or each["kind"] == "Job"
    }
    assert pods("database") == sorted([*users, *_objects("Job")])


@pytest.mark.parametrize("where", [_kubernetes_variables, _compose_variables, _image_variables])
def test_every_variable_is_a_setting_of_the_service_that_gets_it(where: Any) -> None:
    given = list(where())
    assert {service for service, _ in given} >= set(SERVICES)
    unknown = [
        f"{service}: {name}"
        for service, name in given
        if name.removeprefix("QUIRE_").lower() not in _settings(service).model_fields
    ]
    assert not unknown


@pytest.mark.parametrize("where", [_kubernetes_variables, _compose_variables])
def test_embedder_and_search_are_told_the_same_of_the_model(where: Any) -> None:
    def told(service: str) -> set[str]:
        return {name for given, name in where() if given == service and name.startswith("QUIRE_EMBEDDING_")}

    assert told("embedder") == told("search") != set()


@pytest.mark.parametrize("service", SERVICES)
def test_images_run_as_a_numbered_user_and_answer_for_their_health(service: str) -> None:
    final = _dockerfile(service).rpartition("FROM ")[2]
    assert "\nUSER 10001\n" in final
    assert "\nHEALTHCHECK " in final
    assert f"--frozen --no-dev --no-editable --package quire-{service}\n" in _dockerfile(service)


def test_containers_may_write_nowhere_but_in_their_own_folders() -> None:
    for patch in ("pod.yaml", "job.yaml"):
        pod = _patch(patch)
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    for name, container in _yaml(COMPOSE)["services"].items():
        if container["image"].startswith("quire-"):
            assert container["read_only"], name
            assert container["cap_drop"] == ["ALL"], name
            assert container["security_opt"] == ["no-new-privileges:true"], name
    patched = {patch["path"]: patch["target"]["kind"] for patch in _yaml(BASE / "kustomization.yaml")["patches"]}
    assert patched == {"pod.yaml": "Deployment", "job.yaml": "Job"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_says_its_limits_and_when_it_is_ready_and_what_all_share_does_not_overrule_it(service: str) -> None:
    (own,), (shared,) = _pod(_objects("Deployment")[service])["containers"], _patch("pod.yaml")["containers"]
    assert own["name"] == shared["name"]
    assert own["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in own["resources"]["limits"]
    assert own["readinessProbe"]["httpGet"]["path"] in ("/health", "/readiness", "/api/v1/readiness")
    assert "httpGet" not in shared["readinessProbe"]
    assert {"envFrom", "resources", "lifecycle", "image"}.isdisjoint(shared)
    assert "volumes" not in _patch("pod.yaml")


def test_a_worker_is_given_the_time_that_it_takes_to_stop() -> None:
    graceful = ServiceSettings().graceful_timeout_s
    slept = max(
        int(container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])[1])
        for workload in _objects("Deployment").values()
        for container in _pod(workload)["containers"]
    )
    assert slept > 0
    # The server waits for requests first, then the consumer for its messages, each as long as this.
    assert _patch("pod.yaml")["terminationGracePeriodSeconds"] > slept + 2 * graceful
    for service in SERVICES:
        assert int(_yaml(COMPOSE)["services"][service]["stop_grace_period"].removesuffix("s")) > 2 * graceful


def _expressions() -> list[str]:
    rules = [rule["expr"] for group in _yaml(ALERTS)["groups"] for rule in group["rules"]]
    panels = json.loads(DASHBOARD.read_text())
    shown = [target["expr"] for panel in panels["panels"] for target in panel.get("targets", ())]
    asked = [each["query"]["query"] for each in panels["templating"]["list"] if each["type"] == "query"]
    assert rules
    assert shown
    return [*rules, *shown, *asked]


def _declared() -> dict[str, set[str]]:
    """Every series of the runtime's and the gateway's own metrics with its labels."""
    found: dict[str, set[str]] = {}
    for metric in (*vars(metrics).values(), *vars(gateway_metrics).values()):
        if isinstance(metric, MetricWrapperBase):
            labels = set(metric._labelnames)
            (family,) = metric.collect()
            suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
            found |= {f"{family.name}{suffix}": labels for suffix in suffixes}
    assert "quire_http_request_seconds_bucket" in found
    return found


def test_every_metric_that_is_asked_for_exists_with_its_labels() -> None:
    declared, used = _declared(), set()
    for expression in _expressions():
        for name, selector in re.findall(r"\b((?:quire|rabbitmq)_\w+)(?:\{([^}]*)\})?", expression):
            used.add(name)
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
            assert labels <= declared.get(name, {"queue"}), f"{name} has no such label: {labels}"
    assert used - declared.keys() <= FROM_RABBITMQ
    assert used >= FROM_RABBITMQ - {"rabbitmq_queue_messages_unacked"}


def _selected(matchers: str) -> set[str]:
    """The queues of the topology that a selector takes."""
    tests: dict[str, Callable[[str, str], bool]] = {
        "=": lambda name, value: name == value,
        "!=": lambda name, value: name != value,
        "=~": lambda name, value: re.fullmatch(value, name) is not None,
    }
    names = {queue.name for queue in Topology().queues()}
    for operator, value in re.findall(r'queue(=~|!=|=)"([^"]*)"', matchers):
        names = {name for name in names if tests[operator](name, value.replace("\\\\", "\\"))}
    return names


def test_alerts_and_panels_select_whole_kinds_of_queues() -> None:
    topology = Topology()
    kinds = {
        frozenset(topology.work_queue(service) for service in SERVICES): "work",
        frozenset(topology.parked_queue(service) for service in SERVICES): "parked",
        frozenset(
            topology.delay_queue(service, delay) for service in SERVICES for delay in topology.ladder(service)
        ): "delay",
        frozenset({topology.unrouted}): "unrouted",
        frozenset({topology.work_queue("gateway")}): "gateway",
    }
    found = set()
    for expression in _expressions():
        for matchers in re.findall(r"rabbitmq_\w+\{([^}]*)\}", expression):
            selected = frozenset(_selected(matchers))
            assert selected in kinds, f"{matchers} takes {sorted(selected)}"
            found.add(kinds[selected])
    assert found == set(kinds.values())


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for group in _yaml(ALERTS)["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert rule["annotations"].keys() == {"summary", "action"}
