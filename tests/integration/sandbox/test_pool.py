"""The life of the pool: workers come and go, are replaced, cancelled, lost and closed without a trace."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from quire_runtime.sandbox import Sandbox, SandboxError, SandboxUnavailable

from .conftest import HERE, OpenPool, alive, call, group_alive, is_empty, until

ORPHANING = """
import asyncio, sys
from pathlib import Path
from quire_runtime.sandbox import Sandbox
async def main():
    async with Sandbox(["targets"], paths=[sys.argv[1]], allow_exec=True, directory=Path(sys.argv[2])) as sandbox:
        async with sandbox.job() as job:
            identity = await job.call("targets:identity", {})
            Path(sys.argv[3]).write_text(f"{identity[2]} {job.path}")
            await job.call("targets:hang_with_children", {"count": 2})
asyncio.run(main())
"""


async def test_a_worker_is_replaced_after_its_share_of_jobs(pool: OpenPool) -> None:
    async with pool(workers=1, jobs_per_child=3) as sandbox:
        pids = [await call(sandbox, "pid") for _ in range(7)]
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]
        assert [alive(pid) for pid in dict.fromkeys(pids)] == [False, False, True]


async def test_no_more_jobs_run_at_once_than_there_are_workers(pool: OpenPool) -> None:
    async with pool(workers=2) as sandbox:
        async with sandbox.job(), sandbox.job():
            third = asyncio.create_task(call(sandbox, "pid"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(third), 0.1)
        assert await third > 0


async def test_idle_workers_beyond_one_are_ended(pool: OpenPool) -> None:
    async with pool(workers=3, idle_s=0.05) as sandbox:
        async with sandbox.job() as one, sandbox.job() as two, sandbox.job() as three:
            pids = [await job.call("targets:pid", {}) for job in (one, two, three)]
        assert len(set(pids)) == 3
        await until(lambda: sum(map(alive, pids)) == 1)
        assert await call(sandbox, "pid") in pids


async def test_cancelling_a_call_kills_its_worker(sandbox: Sandbox) -> None:
    pids = []

    async def spin() -> None:
        async with sandbox.job() as job:
            paths.append(job.path)
            await job.call("targets:spin", {"started": "started"})

    paths: list[Path] = []
    task = asyncio.create_task(spin())
    await until(lambda: bool(paths) and (paths[0] / "started").exists() and bool((paths[0] / "started").read_text()))
    pids.append(int((paths[0] / "started").read_text()))
    assert alive(pids[0])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not alive(pids[0]) and not paths[0].exists())
    assert await call(sandbox, "echo", value=1) == 1


async def test_cancelling_while_waiting_for_a_worker_loses_no_slot(pool: OpenPool) -> None:
    async with pool(workers=1) as sandbox:
        async with sandbox.job():
            waiting = asyncio.create_task(call(sandbox, "pid"))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert await call(sandbox, "echo", value=1) == 1


async def test_a_killed_zygote_fails_the_jobs_in_hand_and_is_started_again(pool: OpenPool) -> None:
    async with pool(allow_exec=True) as sandbox:
        idle = await call(sandbox, "pid")
        async with sandbox.job() as job:
            zygote, pid = (await job.call("targets:identity", {}))[2], await job.call("targets:pid", {})
            hanging = asyncio.create_task(job.call("targets:hang_with_children", {"count": 2}))
            file = job.path / "children"
            await until(lambda: file.exists() and len(file.read_text().split()) == 2)
            children = [int(child) for child in file.read_text().split()]
            os.kill(zygote, signal.SIGKILL)
            with pytest.raises(SandboxUnavailable):
                await hanging
            await until(lambda: not any(alive(process) for process in (pid, idle, *children)))
        again = await call(sandbox, "identity")
        assert again[2] != zygote
        assert await asyncio.gather(*(call(sandbox, "echo", value=number) for number in range(20))) == list(range(20))


async def test_a_zygote_killed_while_idle_is_not_noticed_by_the_next_job(sandbox: Sandbox) -> None:
    zygote = (await call(sandbox, "identity"))[2]
    os.kill(zygote, signal.SIGKILL)
    await until(lambda: not alive(zygote))
    assert await call(sandbox, "echo", value=1) == 1


async def test_closing_leaves_no_process_and_no_file(pool: OpenPool, tmp_path: Path) -> None:
    async with pool(workers=2) as sandbox, sandbox.job() as one, sandbox.job() as two:
        identities = [await job.call("targets:identity", {}) for job in (one, two)]
        pids = [await job.call("targets:pid", {}) for job in (one, two)]
    zygote = identities[0][2]
    assert not any(group_alive(group) for group in (zygote, *pids))
    assert is_empty(tmp_path / "pool")
    with pytest.raises(SandboxUnavailable):
        await call(sandbox, "pid")


async def test_a_killed_parent_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    told, directory = tmp_path / "told", tmp_path / "pool"
    directory.mkdir()
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ORPHANING, str(HERE), str(directory), str(told))
    )
    await until(lambda: told.exists() and len(told.read_text().split()) == 2)
    zygote, children = int(told.read_text().split()[0]), Path(told.read_text().split()[1]) / "children"
    await until(lambda: children.exists() and len(children.read_text().split()) == 2)
    pids = [int(pid) for pid in children.read_text().split()]
    assert all(alive(pid) for pid in (zygote, *pids))
    parent.kill()
    await parent.wait()
    await until(lambda: not any(alive(pid) for pid in (zygote, *pids)))
    await until(lambda: is_empty(directory))


async def test_a_module_that_cannot_be_imported_fails_the_start_with_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="no_such_module"):
        async with Sandbox(["no_such_module"], directory=tmp_path):
            pass
    assert is_empty(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted on Linux only")
async def test_a_module_that_starts_threads_is_refused(tmp_path: Path) -> None:
    source = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    (tmp_path / "threaded.py").write_text(source)
    with pytest.raises(SandboxUnavailable, match="started threads"):
        async with Sandbox(["threaded"], paths=[tmp_path], directory=tmp_path):
            pass


async def test_an_unknown_function_is_an_error_and_not_a_crash(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError) as raised:
        await call(sandbox, "no_such_function")
    assert raised.value.kind == "AttributeError"
