"""The few settings of the native stack, read from the environment once."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where a stack lives and what it is made of."""

    home: Path
    """Folder of all state, absolute."""
    port: int | None
    """Port the gateway must have (QUIRE_PORT); None leaves the choice to the port book."""
    s3: bool
    """Objects go to an S3 server (QUIRE_STORE=s3) instead of a local directory."""
    backup_dir: Path | None = None
    """Folder for backups (QUIRE_BACKUP_DIR), absolute; None: where they are already, at first below the home."""
    backups_kept: int | None = None
    """Base backups to keep from now on (QUIRE_BACKUP_KEEP); None: as many as before."""


class SettingsError(ValueError):
    """A setting in the environment has a value that cannot be used."""


def load(environ: dict[str, str] | None = None) -> Settings:
    """Read QUIRE_HOME, QUIRE_PORT, QUIRE_STORE, QUIRE_BACKUP_DIR and QUIRE_BACKUP_KEEP; raises SettingsError."""
    env = dict(os.environ) if environ is None else environ
    home = Path(env.get("QUIRE_HOME") or _default_home()).expanduser().absolute()
    backups = env.get("QUIRE_BACKUP_DIR")
    return Settings(
        home=home,
        port=_port(env.get("QUIRE_PORT", "")),
        s3=_wants_s3(env.get("QUIRE_STORE", "")),
        backup_dir=Path(backups).expanduser().absolute() if backups else None,
        backups_kept=_kept(env.get("QUIRE_BACKUP_KEEP", "")),
    )


def inherited() -> dict[str, str]:
    """The caller's environment, which every process of the stack gets below its own variables."""
    return dict(os.environ)


def _default_home() -> Path:
    checkout = Path(__file__).resolve().parents[3]
    return (checkout if (checkout / "uv.lock").exists() else Path.cwd()) / ".quire"


def _port(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise SettingsError(f"QUIRE_PORT is {text!r}: give a port between 1 and 65535")
    return int(text)


def _kept(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"QUIRE_BACKUP_KEEP is {text!r}: give how many backups to keep, at least 1")
    return int(text)


def _wants_s3(text: str) -> bool:
    if text not in {"", "file", "s3"}:
        raise SettingsError(f"QUIRE_STORE is {text!r}: give 'file' (a local directory) or 's3'")
    return text == "s3"


def search_path() -> str:
    """The caller's PATH."""
    return os.environ.get("PATH", os.defpath)
