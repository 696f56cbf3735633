"""The native stack as data: which servers, jobs and services there are, and what each one needs."""

import sys

from quire_local import archiving, credentials, postgres, probes, rabbitmq, redis_server, seaweedfs
from quire_local.ports import GATEWAY
from quire_local.process import Process, Site
from quire_local.state import secret

READY = probes.http("/readiness")


def native(site: Site) -> list[Process]:
    """Everything that makes Quire run on this machine."""
    return [*servers(site), *archiving.processes(site), *jobs(site), *services(site)]


def servers(site: Site) -> list[Process]:
    """The servers under the services; raises rabbitmq.Missing."""
    found = [postgres.process(site), *rabbitmq.processes(site), redis_server.process(site)]
    return [*found, seaweedfs.process(site)] if site.settings.s3 else found


def urls(site: Site) -> dict[str, str]:
    """The variables by which a service finds the servers."""
    found = {
        "QUIRE_BROKER_URL": rabbitmq.url(site),
        "QUIRE_DATABASE_URL": postgres.url(site),
        "QUIRE_REDIS_URL": redis_server.url(site),
    }
    if not site.settings.s3:
        return {**found, "QUIRE_STORE_URL": (site.home / "objects").as_uri()}
    return {
        **found,
        "QUIRE_STORE_URL": f"s3://{seaweedfs.BUCKET}",
        "QUIRE_S3_ENDPOINT": seaweedfs.url(site),
        "QUIRE_S3_ACCESS_KEY_ID": seaweedfs.ACCESS_KEY_ID,
        "QUIRE_S3_SECRET_ACCESS_KEY": secret(site.home, seaweedfs.NAME),
        "QUIRE_S3_REGION": seaweedfs.REGION,
    }


def jobs(site: Site) -> list[Process]:
    """Migrations at every start; the first workspace and key only where there are none yet."""
    env = urls(site)
    found = [
        _job("migrate-catalog", "quire_gateway", "migrate", env),
        _job("migrate-search", "quire_search", "migrate", env),
    ]
    addresses = {"QUIRE_URL": gateway_url(site), "QUIRE_BROKER_URL": env["QUIRE_BROKER_URL"]}
    if postgres.exists(site.home) and credentials.path(site.home).exists():
        credentials.write_addresses(site.home, addresses)
        return found
    return [
        *found,
        Process(
            "bootstrap",
            (sys.executable, "-m", "quire_gateway", "bootstrap"),
            env=env,
            once=True,
            depends_on=("migrate-catalog",),
            output=lambda printed: credentials.write_bootstrapped(site.home, addresses, printed),
        ),
    ]


def services(site: Site) -> list[Process]:
    """The six services."""
    stored = (seaweedfs.NAME,) if site.settings.s3 else ()
    env = {**urls(site), "QUIRE_SEARCH_URL": f"http://127.0.0.1:{site.ports.port('search')}"}
    workers = ("postgres", "rabbitmq", "redis", "migrate-catalog", "migrate-search", *stored)

    def service(name: str, single: str = "") -> Process:
        return Process(
            name,
            (sys.executable, "-m", f"quire_{name}"),
            env=env,
            ready=READY,
            depends_on=workers,
            single=single,
            http=True,
            grace=60,  # Above twice the services' graceful timeout of 25 s: requests first, then messages.
        )

    return [
        service("gateway", "there is one public port; run several behind Kubernetes or Compose"),
        service("search", "the gateway asks one search service; run several behind Kubernetes or Compose"),
        *(service(name) for name in ("ingest", "embedder", "enricher", "previewer")),
    ]


def gateway_url(site: Site) -> str:
    """Where people and clients go."""
    return f"http://127.0.0.1:{site.ports.port(GATEWAY)}"


def _job(name: str, module: str, command: str, env: dict[str, str]) -> Process:
    return Process(name, (sys.executable, "-m", module, command), env=env, once=True, depends_on=(postgres.NAME,))
