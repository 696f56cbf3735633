"""Where the server is and which key opens it: from the environment, or from the file that `make up` writes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = "credentials.env"
FOLDER = ".quire"


class NoCredentials(Exception):
    """Neither the environment nor a file says where the server is and which key opens it."""


@dataclass(frozen=True)
class Credentials:
    """A server and an API key; `file` is where they were found, if in a file."""

    url: str
    api_key: str
    file: Path | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.url!r}, file={self.file})"


def find(environ: Mapping[str, str] | None = None, start: Path | None = None) -> Credentials:
    """QUIRE_URL and QUIRE_API_KEY, else `credentials.env` in QUIRE_HOME, or in `.quire` here or in a folder above.

    A key found in a file is never sent to another server than the one in that file. Raises NoCredentials.
    """
    env = os.environ if environ is None else environ
    url, key = env.get("QUIRE_URL", "").rstrip("/"), env.get("QUIRE_API_KEY", "")
    if url and key:
        return Credentials(url, key)
    path = _file(env.get("QUIRE_HOME", ""), start or Path.cwd())
    values = _read(path) if path else {}
    known = values.get("QUIRE_URL", "").rstrip("/")
    if url and known != url:
        raise NoCredentials(f"QUIRE_URL is {url}, but no key for it is known: set QUIRE_API_KEY as well.")
    key = key or values.get("QUIRE_API_KEY", "")
    if not (known and key):
        raise NoCredentials(
            "No server is known: start one with `make up`, or set QUIRE_URL and QUIRE_API_KEY"
            f" ({'looked into ' + str(path) if path else f'no {FOLDER}/{FILE} here or above'})."
        )
    return Credentials(known, key, path)


def home(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of the local stack's state: QUIRE_HOME, else `.quire` where the credentials are, else here."""
    env = os.environ if environ is None else environ
    path = _file(env.get("QUIRE_HOME", ""), Path.cwd())
    return path.parent if path else Path.cwd() / FOLDER


def _file(quire_home: str, start: Path) -> Path | None:
    if quire_home:
        return Path(quire_home).expanduser().absolute() / FILE
    start = start.absolute()
    return next((path for folder in (start, *start.parents) if (path := folder / FOLDER / FILE).is_file()), None)


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise NoCredentials(f"{path} cannot be read: {error.strerror}.") from error
    pairs = (line.removeprefix("export ").partition("=") for line in map(str.strip, lines) if not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, mark, value in pairs if mark}
