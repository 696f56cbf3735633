"""What a worker cannot reach: the network, other files, other processes."""

import asyncio
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from quire_runtime.sandbox import Sandbox

from .conftest import OpenPool, call, need

EVERY_PROTECTION = {
    *("network namespace", "own user", "memory", "file size", "open files", "no core", "processes"),
    *("file system", "system calls", "signals"),
}


async def test_every_protection_is_on_or_named_as_missing_with_the_reason(sandbox: Sandbox) -> None:
    found = sandbox.protections
    assert {*found.on, *found.missing} == EVERY_PROTECTION
    assert not {*found.on} & {*found.missing}
    assert all(found.missing.values())
    assert {"file size", "open files", "no core"} <= {*found.on}


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux only")
async def test_the_system_call_filter_is_on_wherever_linux_runs(sandbox: Sandbox) -> None:
    assert "system calls" in sandbox.protections.on


@pytest.mark.parametrize("allow_exec", [False, True])
async def test_a_connection_to_a_listening_loopback_socket_is_refused(pool: OpenPool, allow_exec: bool) -> None:
    accepted: list[object] = []
    server = await asyncio.start_server(lambda *streams: accepted.append(streams), "127.0.0.1", 0)
    async with server, pool(allow_exec=allow_exec) as sandbox:
        need(sandbox, "system calls")
        port = server.sockets[0].getsockname()[1]
        assert await call(sandbox, "attempt", what="connect", arguments=[port]) == "PermissionError"
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):
            assert await call(sandbox, "attempt", what="open_socket", arguments=[int(family)]) == "PermissionError"
        local = await call(sandbox, "attempt", what="open_socket", arguments=[int(socket.AF_UNIX)])
        assert local == ("done" if allow_exec else "PermissionError")
        assert accepted == []
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()


async def test_writing_outside_of_its_directory_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    need(sandbox, "file system")
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    for path in (outside / "file", Path("/tmp/quire-outside"), Path("/dev/shm/quire-outside")):
        assert await call(sandbox, "attempt", what="write", arguments=[str(path)]) == "PermissionError"
        assert not path.exists()
    assert await call(sandbox, "attempt", what="write", arguments=["inside"]) == "done"


async def test_reading_the_directory_of_another_job_is_refused(sandbox: Sandbox) -> None:
    need(sandbox, "file system")
    async with sandbox.job() as mine, sandbox.job() as other:
        (other.path / "input").write_text("secret")
        (mine.path / "input").write_text("mine")
        await other.call("targets:pid", {})
        assert await mine.call("targets:read", {"path": str(mine.path / "input")}) == "mine"
        refused = await mine.call("targets:attempt", {"what": "read", "arguments": [str(other.path / "input")]})
        assert refused == "PermissionError"


async def test_secrets_of_the_machine_and_of_the_parent_are_not_readable(sandbox: Sandbox, tmp_path: Path) -> None:
    need(sandbox, "file system")
    secret = tmp_path / "secret"
    secret.write_text("x")
    for path in (str(secret), "/etc/shadow", f"/proc/{os.getpid()}/environ", f"/proc/{os.getpid()}/cmdline"):
        assert await call(sandbox, "attempt", what="read", arguments=[path]) == "PermissionError"


async def test_named_paths_are_readable_and_not_writable(pool: OpenPool, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "model").write_text("weights")
    async with pool(read_paths=[data]) as sandbox:
        assert await call(sandbox, "read", path=str(data / "model")) == "weights"
        refused = await call(sandbox, "attempt", what="write", arguments=[str(data / "model")])
    need(sandbox, "file system")
    assert refused == "PermissionError"


async def test_a_call_cannot_leave_a_link_for_the_parent_to_follow(sandbox: Sandbox) -> None:
    need(sandbox, "system calls")
    assert await call(sandbox, "attempt", what="link", arguments=["/etc/passwd", "output"]) == "PermissionError"


async def test_the_parent_cannot_be_signalled(sandbox: Sandbox) -> None:
    need(sandbox, "signals")
    refused = await call(sandbox, "attempt", what="signal_process", arguments=[os.getpid()])
    assert refused == "PermissionError"


async def test_the_limits_of_the_parent_cannot_be_changed(sandbox: Sandbox) -> None:
    need(sandbox, "system calls")
    assert await call(sandbox, "attempt", what="limit_process", arguments=[os.getpid()]) == "PermissionError"
    assert await call(sandbox, "attempt", what="limit_process", arguments=[0]) == "done"


async def test_imports_inside_of_a_call_still_work(sandbox: Sandbox) -> None:
    assert "wave" not in sys.modules
    assert await call(sandbox, "lazy_import", name="wave") == "wave"


async def test_programs_run_where_they_are_allowed(pool: OpenPool) -> None:
    async with pool(allow_exec=True) as sandbox:
        assert await call(sandbox, "run_program", arguments=["/bin/echo", "hello"]) == "hello\n"
        python = await call(sandbox, "run_program", arguments=[sys.executable, "-I", "-c", "import wave; print(6 * 7)"])
        assert python == "42\n"
        if tesseract := shutil.which("tesseract"):
            assert "tesseract" in await call(sandbox, "run_program", arguments=[tesseract, "--version"])
