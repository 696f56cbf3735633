"""Alembic's entry: the runtime knows the database and the schema."""

from quire_runtime.migrate import run_migrations

run_migrations()
