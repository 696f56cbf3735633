"""The stack's own RabbitMQ node as its operator sees it."""

import os
import subprocess
from collections.abc import Sequence

from quire_local import rabbitmq
from quire_local.process import Site

QueueState = tuple[str, int, int]
"""Name of a queue, its ready and its unacknowledged messages."""


class Rabbit:
    """Runs the node's own `rabbitmqctl`, which takes two seconds a call."""

    def __init__(self, site: Site) -> None:
        installation = rabbitmq.find(site.home)
        assert installation is not None
        node = next(process for process in rabbitmq.processes(site) if process.name == rabbitmq.NAME)
        self.url = rabbitmq.url(site)
        self._command = installation.server.with_name("rabbitmqctl")
        self._environment = {**os.environ, **node.env}

    def ctl(self, *arguments: str, timeout_s: float = 60) -> str:
        """What it printed; raises where it failed."""
        done = subprocess.run(
            [str(self._command), "--quiet", *arguments],
            env=self._environment, capture_output=True, text=True, timeout=timeout_s,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def queues(self) -> Sequence[QueueState]:
        """Every queue of the node."""
        listed = self.ctl("list_queues", "--no-table-headers", "name", "messages_ready", "messages_unacknowledged")
        rows = (line.split("\t") for line in listed.splitlines() if line.count("\t") == 2)
        return [(name, int(ready or 0), int(unacknowledged or 0)) for name, ready, unacknowledged in rows]

    def consumers(self) -> dict[str, set[str]]:
        """Queue to who consumes it, each by channel and tag."""
        listed = self.ctl("list_consumers", "--no-table-headers", "queue_name", "channel_pid", "consumer_tag")
        found: dict[str, set[str]] = {}
        for queue, _, consumer in (line.partition("\t") for line in listed.splitlines()):
            found.setdefault(queue, set()).add(consumer)
        return found
