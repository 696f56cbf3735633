"""What goes into a call and what comes out of it."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from quire_runtime.errors import Permanent
from quire_runtime.sandbox import Sandbox, SandboxCrashed, SandboxError, SandboxOutput

from .conftest import OpenPool, call


async def test_a_call_takes_and_returns_json(sandbox: Sandbox) -> None:
    value = {"pages": [1, 2.5, None, True], "text": "naïve ☃"}
    assert await call(sandbox, "echo", value=value) == value


async def test_a_call_reads_and_leaves_files_in_its_own_directory(sandbox: Sandbox) -> None:
    async with sandbox.job() as job:
        (job.path / "input").write_bytes(b"a document")
        assert await job.call("targets:copy", {"source": "input", "target": "output"}) == 10
        with job.open("output") as left:
            assert left.read() == b"a document"
        assert await job.call("targets:temporary_directory", {}) == [str(job.path)] * 3
    assert not job.path.exists()


async def test_the_directory_is_removed_after_a_failure_too(sandbox: Sandbox) -> None:
    async with sandbox.job() as job:
        (job.path / "input").write_bytes(b"x")
        with pytest.raises(SandboxError):
            await job.call("targets:fail", {"message": "no"})
    assert not job.path.exists()


async def test_a_directory_nested_beyond_the_longest_path_is_removed(sandbox: Sandbox) -> None:
    async with sandbox.job() as job:
        await job.call("targets:nest", {"depth": 1200})
        assert (job.path / "d" / "d").is_dir()
    assert not job.path.exists()


async def test_permanent_travels_with_its_reason_and_detail(sandbox: Sandbox) -> None:
    with pytest.raises(Permanent) as raised:
        await call(sandbox, "permanent")
    assert (raised.value.reason, raised.value.detail) == ("encrypted", "It needs a password. ?")


async def test_any_other_exception_arrives_with_type_message_and_traceback(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError) as raised:
        await call(sandbox, "fail", message="the key")
    assert (raised.value.kind, raised.value.message) == ("KeyError", "'the key'")
    assert "raise KeyError(message)" in raised.value.traceback


async def test_a_worker_survives_an_exception(sandbox: Sandbox) -> None:
    before = await call(sandbox, "pid")
    with pytest.raises(SandboxError):
        await call(sandbox, "fail", message="x")
    assert await call(sandbox, "pid") == before


async def test_an_endless_message_does_not_make_the_answer_endless(pool: OpenPool) -> None:
    async with pool(output_bytes=100_000) as sandbox:
        with pytest.raises(SandboxError) as raised:
            await call(sandbox, "fail", message="x" * 1_000_000)
    assert len(raised.value.message) < 10_000
    assert len(raised.value.traceback) < 50_000


async def test_sys_exit_counts_as_a_crash_of_the_parser(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxCrashed):
        await call(sandbox, "sys_exit")
    assert await call(sandbox, "echo", value=1) == 1


async def test_a_result_above_the_limit_is_refused(pool: OpenPool) -> None:
    async with pool(output_bytes=10_000) as sandbox:
        assert len(await call(sandbox, "huge", size=9_000)) == 9_000
        with pytest.raises(SandboxOutput, match="20009 bytes"):
            await call(sandbox, "huge", size=20_000)


async def test_a_result_that_is_no_json_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxOutput) as raised:
        await call(sandbox, "no_json")
    assert raised.value.malformed


async def test_a_worker_that_announces_gigabytes_is_not_believed(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxOutput, match="4000000000 bytes"):
        await call(sandbox, "announce", size=4_000_000_000)
    assert await call(sandbox, "echo", value=1) == 1


@pytest.mark.parametrize("answer", ["not json", "[]", "{}", '{"permanent":["x"]}', '{"ok":NaN}', "[" * 100_000])
async def test_a_forged_answer_is_malformed_output_and_costs_the_worker(sandbox: Sandbox, answer: str) -> None:
    before = await call(sandbox, "pid")
    with pytest.raises(SandboxOutput) as raised:
        await call(sandbox, "forge", answer=answer)
    assert raised.value.malformed
    assert await call(sandbox, "pid") != before


async def test_two_hundred_jobs_over_two_workers_each_get_their_own_answer(sandbox: Sandbox) -> None:
    answers = await asyncio.gather(*(call(sandbox, "echo", value=number) for number in range(200)))
    assert answers == list(range(200))


async def test_the_environment_of_the_parent_is_not_seen(pool: OpenPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUIRE_SECRET", "hunter2")
    async with pool(env={"OMP_THREAD_LIMIT": "1"}) as sandbox:
        seen = await call(sandbox, "environment")
    assert seen["OMP_THREAD_LIMIT"] == "1"
    assert seen.keys() == {"PATH", "LANG", "MALLOC_ARENA_MAX", "HOME", "TMPDIR", "OMP_THREAD_LIMIT"}


async def test_descriptors_of_the_parent_are_not_inherited(pool: OpenPool, tmp_path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=tmp_path) as secret:
        os.set_inheritable(secret.fileno(), True)
        async with pool() as sandbox:
            seen = await call(sandbox, "descriptors")
    if not seen:
        pytest.skip("this system does not tell what is open")
    assert len([name for name in seen if name.startswith("socket:")]) == 1
    assert not [name for name in seen if secret.name in name]
    assert len(seen) <= 4
