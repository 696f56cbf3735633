"""Alembic's entry point."""

from quire_runtime.migrate import run_migrations

run_migrations()
