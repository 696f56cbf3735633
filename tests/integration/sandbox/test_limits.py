"""What a job that takes too much is stopped by, and that its neighbours do not notice."""

import asyncio
import signal
import time

import pytest

from quire_runtime.sandbox import (
    Sandbox,
    SandboxCrashed,
    SandboxMemory,
    SandboxOutput,
    SandboxStopped,
    SandboxTimeout,
    as_permanent,
)

from .conftest import OpenPool, alive, call, group_alive, need


async def test_an_endless_loop_is_stopped_and_its_process_is_gone(sandbox: Sandbox) -> None:
    async with sandbox.job() as job:
        pid = await job.call("targets:pid", {})
        started = time.monotonic()
        with pytest.raises(SandboxTimeout) as raised:
            await job.call("targets:spin", {}, wall_s=0.3)
        assert not alive(pid)
        assert time.monotonic() - started < 3
    assert (raised.value.clock, raised.value.limit_s) == ("wall", 0.3)
    assert await call(sandbox, "echo", value=1) == 1


async def test_cpu_time_is_bounded_for_each_call_and_not_for_the_worker(pool: OpenPool) -> None:
    async with pool(cpu_s=1, workers=1) as sandbox:
        with pytest.raises(SandboxTimeout) as raised:
            await call(sandbox, "burn_cpu")
        assert raised.value.clock == "CPU"
        pids = {await call(sandbox, "use_cpu", seconds=0.6) for _ in range(2)}
    assert len(pids) == 1


async def test_ten_gigabytes_are_refused_and_the_neighbour_finishes(sandbox: Sandbox) -> None:
    async with sandbox.job() as neighbour:
        pid = await neighbour.call("targets:pid", {})
        running = asyncio.create_task(neighbour.call("targets:pid_after", {"seconds": 0.3}))
        with pytest.raises(SandboxMemory):
            await call(sandbox, "allocate", size=10 << 30)
        assert not running.done()
        assert await running == pid


async def test_memory_below_the_limit_is_given_whatever_the_preloaded_modules_take(pool: OpenPool) -> None:
    async with pool(memory_bytes=100 << 20) as sandbox:
        need(sandbox, "memory")
        assert await call(sandbox, "allocate", size=80 << 20) == 80 << 20
        with pytest.raises(SandboxMemory):
            await call(sandbox, "allocate", size=110 << 20)


async def test_a_native_library_that_aborts_for_lack_of_memory_counts_as_memory(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxMemory):
        await call(sandbox, "native_allocation_failure")


async def test_a_worker_killed_by_the_kernel_counts_as_memory(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxMemory):
        await call(sandbox, "kill_self")


async def test_a_segmentation_fault_names_its_signal_and_the_next_job_works(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxCrashed) as raised:
        await call(sandbox, "segfault")
    assert (raised.value.signal, raised.value.code) == (signal.SIGSEGV, None)
    assert await call(sandbox, "echo", value=1) == 1


async def test_an_exit_names_its_code_and_the_same_job_may_call_again(sandbox: Sandbox) -> None:
    async with sandbox.job() as job:
        (job.path / "input").write_bytes(b"kept")
        with pytest.raises(SandboxCrashed) as raised:
            await job.call("targets:leave", {"code": 7})
        assert (raised.value.signal, raised.value.code) == (None, 7)
        assert await job.call("targets:copy", {"source": "input", "target": "again"}) == 4


async def test_a_file_above_the_limit_is_refused(pool: OpenPool) -> None:
    async with pool(file_bytes=4 << 20) as sandbox:
        assert await call(sandbox, "write_much", size=3 << 20) is None
        with pytest.raises(SandboxOutput) as raised:
            await call(sandbox, "write_much", size=8 << 20)
    assert as_permanent(raised.value).reason == "limit"


async def test_processes_are_bounded_for_each_worker_and_none_is_left(pool: OpenPool) -> None:
    async with pool(allow_exec=True, processes=12) as sandbox:
        need(sandbox, "processes")
        async with sandbox.job() as job, sandbox.job() as neighbour:
            group = await job.call("targets:pid", {})
            assert await job.call("targets:fork_until_refused", {"limit": 100}) == 11
            assert await neighbour.call("targets:fork_until_refused", {"limit": 5}) == 5
            children = [int(pid) for pid in (job.path / "children").read_text().split()]
            assert all(alive(pid) for pid in children)
            with pytest.raises(SandboxTimeout):
                await job.call("targets:fork_bomb", {}, wall_s=0.3)
            assert not group_alive(group)
            assert not any(alive(pid) for pid in children)
            assert await job.call("targets:echo", {"value": 1}) == 1


async def test_a_call_without_permission_to_execute_starts_no_process(sandbox: Sandbox) -> None:
    need(sandbox, "system calls")
    for what, arguments in (("run_program", [["/bin/true"]]), ("fork_until_refused", [1]), ("count_in_thread", [])):
        answer = await call(sandbox, "attempt", what=what, arguments=arguments)
        assert answer == ("PermissionError" if what == "run_program" else "done")
    assert await call(sandbox, "fork_until_refused", limit=3) == 0
    assert await call(sandbox, "count_in_thread") == 1


async def test_programs_in_sessions_of_their_own_are_killed_with_the_worker(pool: OpenPool) -> None:
    async with pool(allow_exec=True) as sandbox:
        need(sandbox, "system calls")
        async with sandbox.job() as job:
            with pytest.raises(SandboxTimeout):
                await job.call("targets:hang_with_children", {"count": 3}, wall_s=1)
            children = [int(pid) for pid in (job.path / "children").read_text().split()]
            assert len(children) == 3
            assert not any(alive(pid) for pid in children)


async def test_a_daemon_that_outlives_its_worker_is_killed(pool: OpenPool) -> None:
    async with pool(allow_exec=True) as sandbox:
        need(sandbox, "system calls")
        async with sandbox.job() as job:
            with pytest.raises(SandboxCrashed):
                await job.call("targets:daemon", {}, wall_s=5)
            assert not alive(int((job.path / "daemon").read_text()))


async def test_a_stopped_document_gets_a_verdict_its_owner_understands() -> None:
    cases: list[tuple[SandboxStopped, str]] = [
        (SandboxTimeout("wall", 60), "limit"),
        (SandboxMemory(1 << 30), "limit"),
        (SandboxOutput("a result of 9 bytes, where 8 are allowed"), "limit"),
        (SandboxOutput("no JSON", malformed=True), "corrupt"),
        (SandboxCrashed(signal=signal.SIGSEGV), "corrupt"),
        (SandboxCrashed(code=3), "corrupt"),
    ]
    assert [as_permanent(stopped).reason for stopped, _ in cases] == [reason for _, reason in cases]
    assert "1024 MiB" in as_permanent(SandboxMemory(1 << 30)).detail
    assert "SIGSEGV" in as_permanent(SandboxCrashed(signal=signal.SIGSEGV)).detail
