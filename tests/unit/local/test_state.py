"""What a stack remembers between runs."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from quire_local import credentials, trees
from quire_local.identity import Identity, identify
from quire_local.state import State, read_json, secret, write_atomically


def test_ports_and_replicas_are_kept_apart_and_survive(tmp_path: Path) -> None:
    State(tmp_path).remember_port("embedder", 4001)
    State(tmp_path).remember_replicas("embedder", 3)
    State(tmp_path).remember_port("search", 4002)
    assert State(tmp_path).ports() == {"embedder": 4001, "search": 4002}
    assert State(tmp_path).replicas() == {"embedder": 3}


def test_a_damaged_state_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "run" / "state.json"
    path.parent.mkdir()
    path.write_text('{"ports": {"embed')
    assert State(tmp_path).ports() == {}
    State(tmp_path).remember_port("search", 4002)
    assert State(tmp_path).ports() == {"search": 4002}


def test_a_file_is_replaced_whole_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    write_atomically(path, "one")
    write_atomically(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_secret_is_made_once_for_each_name(tmp_path: Path) -> None:
    first = secret(tmp_path, "redis")
    assert secret(tmp_path, "redis") == first
    assert secret(tmp_path, "postgres") != first
    assert len(first) >= 32


def test_a_process_is_itself_only_with_its_start_time() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert me.process() == psutil.Process()
    assert Identity(me.pid, me.started - 60).process() is None


def test_a_recycled_pid_is_not_killed(tmp_path: Path) -> None:
    """A record names a pid that now belongs to a stranger who started at another time."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        started = psutil.Process(stranger.pid).create_time()
        trees.write_records(tmp_path, [trees.Record("old", stranger.pid, started - 100, 15, 0.1, 0)])
        assert trees.sweep(tmp_path) == []
        assert stranger.poll() is None

        trees.write_records(tmp_path, [trees.Record("own", stranger.pid, started, 15, 5, 0)])
        assert trees.sweep(tmp_path) == ["own"]
        assert stranger.wait(5) == -15


def test_what_is_stopped_first_is_what_nothing_depends_on(tmp_path: Path) -> None:
    """The upper process writes what it saw of the lower one when it was stopped."""
    lower = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    seen = tmp_path / "seen"
    program = (
        "import os, pathlib, signal, sys\n"
        "def end(*_):\n"
        f"    pathlib.Path(sys.argv[1]).write_text(open('/proc/{lower.pid}/stat').read().split()[2])\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    with lower, subprocess.Popen([sys.executable, "-c", program, str(seen)], stdout=subprocess.PIPE) as upper:
        assert upper.stdout is not None
        assert upper.stdout.readline() == b"ready\n"
        records = [trees.record_of("lower", lower.pid, 15, 5, 0), trees.record_of("upper", upper.pid, 15, 5, 1)]
        trees.write_records(tmp_path, [record for record in records if record is not None])
        assert trees.sweep(tmp_path) == ["lower", "upper"]
        assert seen.read_text() == "S"


def test_credentials_keep_what_the_bootstrap_printed_and_follow_the_address(tmp_path: Path) -> None:
    printed = b'a log line\n{"workspace": "w", "api_key": "k=1", "admin_email": "a@b.c", "admin_password": "p"}\n'
    credentials.write_bootstrapped(tmp_path, {"QUIRE_URL": "http://127.0.0.1:1"}, printed)
    credentials.write_addresses(tmp_path, {"QUIRE_URL": "http://127.0.0.1:2"})
    assert credentials.read(tmp_path) == {
        "QUIRE_URL": "http://127.0.0.1:2",
        "QUIRE_API_KEY": "k=1",
        "QUIRE_ADMIN_EMAIL": "a@b.c",
        "QUIRE_ADMIN_PASSWORD": "p",
    }
    assert stat.S_IMODE(credentials.path(tmp_path).stat().st_mode) == 0o600


@pytest.mark.parametrize("printed", [b"", b"no json\n", b'{"workspace": "w"}\n'])
def test_a_bootstrap_that_prints_no_credentials_is_an_error(tmp_path: Path, printed: bytes) -> None:
    with pytest.raises(ValueError, match="printed no credentials"):
        credentials.write_bootstrapped(tmp_path, {"QUIRE_URL": "http://127.0.0.1:1"}, printed)
    assert not credentials.path(tmp_path).exists()
    assert read_json(credentials.path(tmp_path)) == {}
