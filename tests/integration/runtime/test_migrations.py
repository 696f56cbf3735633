"""Migrations of the services that own tables, on an empty database."""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from quire_runtime.errors import StartupError
from quire_runtime.migrate import migrate

SERVICES = [("quire_gateway", "catalog"), ("quire_search", "search")]


def _tables(url: str, schema: str) -> set[str]:
    async def read() -> set[str]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
            return {row["tablename"] for row in rows}
        finally:
            await connection.close()

    return asyncio.run(read())


@pytest.mark.parametrize(("package", "schema"), SERVICES)
def test_an_empty_database_is_brought_to_the_newest_version_and_a_second_time_nothing_happens(
    postgres_url: str, package: str, schema: str
) -> None:
    migrate(postgres_url, package, schema)
    first = _tables(postgres_url, schema)
    assert {"document", "outbox", "migration"} <= first
    migrate(postgres_url, package, schema)
    assert _tables(postgres_url, schema) == first


def test_two_processes_that_migrate_at_once_do_not_disturb_each_other(postgres_url: str) -> None:
    asyncio.run(_drop(postgres_url, "catalog"))
    program = f"from quire_runtime.migrate import migrate; migrate({postgres_url!r}, 'quire_gateway', 'catalog')"

    def run(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(run, range(3)))
    assert [result.returncode for result in results] == [0, 0, 0], [result.stderr[-500:] for result in results]
    assert "document" in _tables(postgres_url, "catalog")


async def _drop(url: str, schema: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
    finally:
        await connection.close()


def test_a_database_that_does_not_answer_is_a_start_up_problem() -> None:
    with pytest.raises(StartupError, match="PostgreSQL does not answer"):
        migrate("postgresql://nobody:x@127.0.0.1:9/none", "quire_gateway", "catalog")
