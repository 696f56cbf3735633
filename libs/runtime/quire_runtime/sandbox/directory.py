"""Handling of a directory that an untrusted process fills: reading a file of it, and removing it whole."""

import contextlib
import os
import stat
import time
from pathlib import Path
from typing import BinaryIO

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS = 20


def open_file(directory: Path, name: str) -> BinaryIO:
    """Opens the regular file `name` (may have folders in it) for reading and never follows a link out of `directory`.

    Raises FileNotFoundError, or PermissionError when there is something else than a regular file under that name.
    """
    *folders, last = name.split("/")
    if not last or {"", ".", ".."} & {*folders, last}:
        raise PermissionError(f"{name!r} is no plain name")
    at = os.open(directory, _DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, _DIRECTORY, dir_fd=at)
            os.close(at)
            at = inner
        # Non-blocking: opening a FIFO must not wait for a writer.
        fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PermissionError(f"{name!r} is no regular file: {error.strerror}") from None
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise PermissionError(f"{name!r} is no regular file")
    return os.fdopen(fd, "rb")


def is_small(directory: Path) -> bool:
    """Whether it can be removed within microseconds: a few files and no folder."""
    with os.scandir(directory) as entries:
        for count, entry in enumerate(entries):
            if count >= 32 or entry.is_dir(follow_symlinks=False):
                return False
    return True


def remove(directory: Path) -> None:
    """Removes `directory`, however deep, wide or unreadable it was made; follows no link. Blocks.

    Folders inside folders are first moved up to the top, so neither recursion nor path length grows with the depth.
    """
    try:
        top = os.open(directory, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        for attempt in range(_ATTEMPTS):
            _empty(top)
            try:
                directory.rmdir()
            except FileNotFoundError:
                return
            except OSError:  # somebody who is being killed still writes into it
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(0.01)
            else:
                return
    finally:
        os.close(top)


def _empty(top: int) -> None:
    moved = 0
    while names := os.listdir(top):
        for name in names:
            if _unlink(name, top):
                continue
            inner = _enter(name, top)
            try:
                for child in os.listdir(inner):  # noqa: PTH208 - of a descriptor
                    if not _unlink(child, inner):
                        moved += 1
                        os.close(_enter(child, inner))
                        os.rename(child, f".{moved}.{os.urandom(6).hex()}", src_dir_fd=inner, dst_dir_fd=top)
            finally:
                os.close(inner)
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(name, dir_fd=top)


def _unlink(name: str, at: int) -> bool:
    """Whether the entry is gone; False for a folder."""
    try:
        os.unlink(name, dir_fd=at)
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):  # macOS says EPERM for a folder
        return False
    return True


def _enter(name: str, at: int) -> int:
    """Opens a folder after making it writable for its owner; a link in its place is refused by O_NOFOLLOW."""
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=at)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=at)
        fd = os.open(name, _DIRECTORY, dir_fd=at)
    os.fchmod(fd, 0o700)
    return fd
