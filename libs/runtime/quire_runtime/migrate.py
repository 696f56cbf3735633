"""The migration runner; apart from the pool, so that a serving process does not carry Alembic and SQLAlchemy."""

import asyncio
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command, context, op
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from .errors import StartupError


def migrate(database_url: str, package: str, schema: str) -> None:
    """Bring `schema` to the newest migration of `package` (its folder `migrations/`). Safe to run twice and at once.

    Raises `StartupError` where the database does not answer.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(str(files(package))) / "migrations"))
    config.attributes["quire"] = (database_url, schema)
    try:
        command.upgrade(config, "head")
    except (OSError, asyncpg.PostgresConnectionError) as error:
        raise StartupError(f"PostgreSQL does not answer at QUIRE_DATABASE_URL: {error}") from error


def script(sql: str) -> None:
    """Run several statements at once in a migration; `op.execute` takes only one."""
    driver: Any = op.get_bind().connection.dbapi_connection
    driver.run_async(lambda connection: connection.execute(sql))


def run_migrations() -> None:
    """The whole of a `migrations/env.py`: runs the chosen migrations in one transaction, one process at a time."""
    database_url, schema = context.config.attributes["quire"]
    asyncio.run(_run_migrations(database_url, schema))


async def _run_migrations(database_url: str, schema: str) -> None:
    engine = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"quire {schema}"})
            await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
            await connection.execute(text(f'SET LOCAL search_path TO "{schema}", public'))
            await connection.run_sync(_upgrade, schema)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, schema: str) -> None:
    context.configure(connection=connection, version_table="migration", version_table_schema=schema)
    with context.begin_transaction():
        context.run_migrations()
