"""Finds data files inside installed wheels without importing the packages that carry them."""

from importlib.metadata import distribution
from pathlib import Path


def wheel_file(wheel: str, path: str) -> Path:
    """Returns the path of a file that the wheel installed.

    Raises PackageNotFoundError where the wheel is not installed, FileNotFoundError where it lacks the file.
    """
    file = Path(str(distribution(wheel).locate_file(path)))
    if not file.is_file():
        raise FileNotFoundError(f"the installed wheel {wheel} has no {path}")
    return file
