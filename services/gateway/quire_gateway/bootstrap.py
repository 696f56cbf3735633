"""The first workspace, with its administrator and an API key."""

import json
import secrets

import asyncpg
from pwdlib import PasswordHash

from quire_contracts import uuid7

from . import db
from .auth import KEY_PREFIX, key_hash, new_key
from .settings import GatewaySettings

ADMIN_EMAIL = "admin@quire.local"


async def bootstrap(settings: GatewaySettings, name: str = "default", email: str = ADMIN_EMAIL) -> str:
    """Create a workspace; returns its id, key and administrator as JSON. Key and password are shown only here."""
    workspace, key, password = f"ws_{uuid7().hex}", new_key(), secrets.token_urlsafe(12)
    connection = await asyncpg.connect(settings.database_url, server_settings={"search_path": "catalog,public"})
    try:
        async with connection.transaction():
            await db.create_workspace(
                connection,
                workspace,
                name,
                (f"usr_{uuid7().hex}", email, PasswordHash.recommended().hash(password)),
                (f"key_{uuid7().hex}", key[: len(KEY_PREFIX) + 6], key_hash(key)),
            )
    finally:
        await connection.close()
    return json.dumps({"workspace": workspace, "api_key": key, "admin_email": email, "admin_password": password})
