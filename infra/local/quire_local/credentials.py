"""`credentials.env`: where the API and the broker answer, the first login and the first API key of the stack."""

import json
from pathlib import Path

from quire_local.state import write_atomically

FIELDS = {
    "QUIRE_API_KEY": "api_key",
    "QUIRE_ADMIN_EMAIL": "admin_email",
    "QUIRE_ADMIN_PASSWORD": "admin_password",
}


def path(home: Path) -> Path:
    return home / "credentials.env"


def read(home: Path) -> dict[str, str]:
    """The variables in the file, empty when there is none."""
    try:
        lines = path(home).read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def write_bootstrapped(home: Path, addresses: dict[str, str], printed: bytes) -> None:
    """Keep what the gateway's bootstrap printed; raises ValueError when it is not what was agreed."""
    try:
        made = json.loads(printed.splitlines()[-1])
        values = {**addresses, **{name: str(made[field]) for name, field in FIELDS.items()}}
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(f"the gateway's bootstrap printed no credentials: {error!r}") from error
    _write(home, values)


def write_addresses(home: Path, addresses: dict[str, str]) -> None:
    """Follow a gateway or a broker that moved to another port."""
    values = read(home)
    if values and values != {**values, **addresses}:
        _write(home, {**values, **addresses})


def _write(home: Path, values: dict[str, str]) -> None:
    write_atomically(path(home), "".join(f"{name}={value}\n" for name, value in values.items()), mode=0o600)
