"""Small programs in place of servers and services, and the specifications that name them."""

import os
import sys
from pathlib import Path

from quire_local import archiving, postgres, probes, stack
from quire_local.process import Process, Site

PROGRAM = """
import http.server, os, subprocess, sys
if "QUIRE_TEST_CHILD" in os.environ:
    # A child in a session of its own and without our environment, as a sandbox is.
    subprocess.Popen(["sleep", "600"], env={}, start_new_session=True)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readiness" else 404)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["QUIRE_HTTP_PORT"])), Answer).serve_forever()
"""


def service(name: str, *depends_on: str, single: str = "", env: dict[str, str] | None = None) -> Process:
    return Process(
        name,
        (sys.executable, "-c", PROGRAM),
        env=env or {},
        ready=probes.http("/readiness"),
        depends_on=depends_on,
        single=single,
        http=True,
        grace=5,
    )


def two_services(site: Site) -> list[Process]:
    """A job that must succeed first, a public service, and a worker with a child of its own."""
    job = Process("job", (sys.executable, "-c", "print('migrated')"), once=True)
    public = service("gateway", "job", single="there is one public port")
    return [job, public, service("worker", "gateway", env={"QUIRE_TEST_CHILD": "1"})]


def broken_worker(site: Site) -> list[Process]:
    """A worker that says why it cannot start, and dies."""
    program = "raise SystemExit('the model is missing')"
    dying = Process("worker", (sys.executable, "-c", program), ready=probes.http("/readiness"), http=True)
    return [service("gateway"), dying]


def stubborn(site: Site) -> list[Process]:
    """A service that ignores the stop signal."""
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
    )

    async def said_so(_: int | None) -> None:
        if "here" not in (site.home / "logs" / "stubborn.log").read_text():
            raise ConnectionError("not yet")

    return [Process("stubborn", (sys.executable, "-c", program), ready=said_so, grace=0.3)]


GATEWAY = """
import json, sys
if sys.argv[1:] == ["migrate"]:
    raise SystemExit(0)
if sys.argv[1:] == ["bootstrap"]:
    print("some line of a log")
    made = {"workspace": "w", "api_key": "key-of-the-test", "admin_email": "a@example.org", "admin_password": "pw"}
    print(json.dumps(made))
    raise SystemExit(0)
"""


def write_service_packages(folder: Path) -> str:
    """Packages named like Quire's services, to shadow them; returns the PYTHONPATH that does."""
    for name in ("gateway", "ingest", "embedder", "enricher", "search", "previewer"):
        package = folder / f"quire_{name}"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(GATEWAY + PROGRAM)
    return f"{folder}{os.pathsep}{Path(__file__).parents[3]}"


def archived_database(site: Site) -> list[Process]:
    """The real database with the real catalog in it, and the archive as soon as there is one; no broker."""
    migrate = [job for job in stack.jobs(site) if job.name == "migrate-catalog" and not postgres.exists(site.home)]
    return [postgres.process(site), *migrate, *archiving.processes(site)]
