"""A stack of stand-in programs: what the supervisor promises about starting, keeping up and ending processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from quire_local import control, launcher, trees
from quire_local.ports import PortBook
from quire_local.presence import is_running
from quire_local.settings import Settings
from quire_local.state import State

REPOSITORY = Path(__file__).parents[3]
HERE = "tests.integration.local.standins"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    yield folder
    launcher.down(folder)
    assert trees.left_behind(folder) == []


def settings(home: Path, port: int | None = None) -> Settings:
    return Settings(home=home, port=port or PortBook(home).port("any"), s3=False)


def up(home: Path, specification: str = "two_services") -> launcher.Ready:
    given = State(home).ports().get("gateway")
    return launcher.up(Settings(home, given or PortBook(home).port("spare"), s3=False), f"{HERE}:{specification}")


def status(home: Path) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in launcher.ask(home, {"do": "status"})["processes"]}


def wait_for(condition: Callable[[], Any], patience: float = 15) -> Any:
    deadline = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{condition} did not come true"
        time.sleep(0.02)


def family(home: Path) -> list[psutil.Process]:
    """Every process of the stack, the sleeping child that dropped its environment included."""
    supervisor = psutil.Process(launcher.ask(home, {"do": "status"})["supervisor"])
    return [supervisor, *supervisor.children(recursive=True)]


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_up_answers_when_all_is_ready_and_twice_is_harmless(home: Path) -> None:
    first = up(home)
    before = status(home)
    assert not first.already
    assert [row["problem"] for row in before.values()] == ["", ""]
    assert httpx.get(f"http://127.0.0.1:{before['gateway']['port']}/readiness").status_code == 200

    began = time.monotonic()
    second = up(home)

    assert second.already
    assert time.monotonic() - began < 2
    assert {name: row["pid"] for name, row in status(home).items()} == {n: row["pid"] for n, row in before.items()}


def test_down_leaves_no_process_and_twice_is_harmless(home: Path) -> None:
    up(home)
    processes = family(home)
    assert any(process.name() == "sleep" for process in processes)

    assert launcher.down(home) is True

    assert living(processes) == []
    assert launcher.down(home) is False
    with pytest.raises(control.NotRunning):
        launcher.ask(home, {"do": "status"})


def test_another_process_can_end_it_while_its_starter_lives_on(home: Path) -> None:
    up(home)
    program = f"from pathlib import Path; from quire_local import launcher; launcher.down(Path({str(home)!r}))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    assert not is_running(home)


def test_a_killed_process_is_started_again_and_its_orphans_are_ended(home: Path) -> None:
    up(home)
    worker = status(home)["worker"]
    orphans = psutil.Process(worker["pid"]).children(recursive=True)
    assert orphans

    os.kill(worker["pid"], signal.SIGKILL)

    again = wait_for(lambda: (row := status(home)["worker"])["restarts"] == 1 and not row["problem"] and row)
    assert again["pid"] != worker["pid"]
    assert again["port"] == worker["port"]
    wait_for(lambda: not living(orphans))
    assert "killed by SIGKILL" in (home / "logs" / "supervisor.log").read_text()


def test_down_cleans_up_after_a_killed_supervisor(home: Path) -> None:
    up(home)
    supervisor, *others = family(home)
    supervisor.kill()
    wait_for(lambda: not living([supervisor]))
    assert len(living(others)) == len(others)

    assert launcher.down(home) is True

    assert living(others) == []


def test_up_after_a_killed_supervisor_ends_what_it_left_and_keeps_the_ports(home: Path) -> None:
    up(home)
    before = status(home)
    supervisor, *others = family(home)
    supervisor.kill()
    wait_for(lambda: not living([supervisor]))

    assert not up(home).already

    assert living(others) == []
    assert {name: row["port"] for name, row in status(home).items()} == {n: row["port"] for n, row in before.items()}


def test_two_homes_run_side_by_side(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    up(home)
    try:
        up(other)
        ports = [row["port"] for stack in (home, other) for row in status(stack).values()]
        assert len(set(ports)) == 4
        launcher.down(other)
        assert [row["problem"] for row in status(home).values()] == ["", ""]
    finally:
        launcher.down(other)


def test_a_taken_port_is_named_with_the_way_out(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(launcher.UpFailed, match=f"port {port} is taken.*QUIRE_PORT"):
            launcher.up(Settings(home, port, s3=False), f"{HERE}:two_services")
    assert not is_running(home)


def test_a_failed_start_says_what_failed_with_its_log_and_leaves_nothing(home: Path) -> None:
    with pytest.raises(launcher.UpFailed) as failure:
        up(home, "broken_worker")
    text = str(failure.value)
    assert "worker: exited with code 1" in text
    assert "the model is missing" in text
    assert trees.left_behind(home) == []
    assert not is_running(home)


def test_a_process_that_ignores_the_stop_signal_is_killed_after_its_grace(home: Path) -> None:
    up(home, "stubborn")
    processes = family(home)
    launcher.down(home)
    assert living(processes) == []
    assert "stubborn: still there 0.3 s after its stop signal; killed" in (home / "logs" / "supervisor.log").read_text()


def test_scaling_starts_workers_on_ports_of_their_own_and_is_kept(home: Path) -> None:
    up(home)
    launcher.ask(home, {"do": "scale", "name": "worker", "count": 3})
    rows = status(home)
    assert {"worker", "worker-2", "worker-3"} <= rows.keys()
    assert len({row["port"] for row in rows.values()}) == 4

    launcher.ask(home, {"do": "scale", "name": "worker", "count": 2})
    assert "worker-3" not in status(home)

    launcher.down(home)
    up(home)
    assert "worker-2" in status(home)


@pytest.mark.parametrize(
    ("name", "count", "reason"),
    [("gateway", 2, "there is one public port"), ("nobody", 2, "there are gateway, worker"), ("worker", 99, "99")],
)
def test_what_cannot_be_scaled_is_refused_with_the_reason(home: Path, name: str, count: int, reason: str) -> None:
    up(home)
    with pytest.raises(control.Refused, match=reason):
        launcher.ask(home, {"do": "scale", "name": name, "count": count})


def test_a_restart_as_asked_gives_a_new_process_on_the_same_port_and_counts_no_failure(home: Path) -> None:
    up(home)
    before = status(home)["worker"]
    launcher.ask(home, {"do": "restart", "name": "worker"})
    after = status(home)["worker"]
    assert after["pid"] != before["pid"]
    assert (after["port"], after["restarts"], after["problem"]) == (before["port"], 0, "")


def test_a_home_whose_path_is_too_long_for_a_socket_works(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30)
    try:
        up(home)
        assert len(str(home / "run" / "control.sock")) > 120
        assert status(home)["gateway"]["problem"] == ""
    finally:
        launcher.down(home)


def test_the_command_reports_trouble_in_its_exit_code(home: Path) -> None:
    environment = {**os.environ, "QUIRE_HOME": str(home)}

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", "quire_local", *words), env=environment, capture_output=True, text=True, check=False
        )

    down = command("status")
    assert (down.returncode, down.stdout) == (1, "")
    assert "no stack runs in" in down.stderr

    up(home)
    well = command("status", "--json")
    assert well.returncode == 0, well.stderr
    assert '"memory_mb"' in well.stdout


def test_a_running_stack_is_not_moved_to_another_port(home: Path) -> None:
    up(home)
    port = status(home)["gateway"]["port"]
    with pytest.raises(launcher.UpFailed, match=f"runs on port {port}: stop it to move it"):
        launcher.up(Settings(home, port + 1, s3=False), f"{HERE}:two_services")
    assert status(home)["gateway"]["problem"] == ""
