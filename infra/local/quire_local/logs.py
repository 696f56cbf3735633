"""Log files of the stack: bounded in size, and their last lines for a message."""

import shutil
from pathlib import Path

MOST_BYTES = 10 * 1024 * 1024
KEPT = 2


def log_path(home: Path, name: str) -> Path:
    return home / "logs" / f"{name}.log"


def rotate(path: Path, most_bytes: int = MOST_BYTES) -> bool:
    """Copy a grown log aside and empty it in place.

    The processes hold the file open for appending and outlive a killed supervisor, so it is emptied, never renamed;
    lines written between the copy and the cut are lost.
    """
    try:
        if path.stat().st_size <= most_bytes:
            return False
    except FileNotFoundError:
        return False
    for number in range(KEPT - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    with path.open("r+b") as file:
        file.truncate(0)
    return True


def tail(path: Path, lines: int = 15) -> list[str]:
    """The last lines of a log, empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64 * 1024))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
