"""What every measurement ends with: a table for people, and a file with the raw figures, the machine and the commit."""

import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results"

NUMBERS = re.compile(r"\[[^][{}]*\]")
"""A list without lists in it: it goes onto one line."""

console = Console(width=120, highlight=False)


class Measurement:
    """One run of one measurement; `save` writes it to `bench/results/<name>.json`."""

    def __init__(self, name: str, **parameters: Any) -> None:
        self._name = name
        self._parameters = parameters
        self._load = os.getloadavg()[0]
        self._began = datetime.now(UTC)

    def save(self, figures: Mapping[str, Any]) -> None:
        """Write the figures beside what is needed to judge them."""
        report = {
            "measured": self._name,
            "at": self._began.isoformat(timespec="seconds"),
            "commit": _commit(),
            "machine": {**_machine(), "load_before": round(self._load, 2), "load_after": round(os.getloadavg()[0], 2)},
            "parameters": self._parameters,
            "figures": _rounded(figures),
        }
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = RESULTS / f"{self._name}.json"
        text = json.dumps(report, indent=1)
        path.write_text(NUMBERS.sub(lambda row: " ".join(row[0].split()), text) + "\n")
        console.print(f"[dim]load {self._load:.1f} before; written to {path.relative_to(ROOT)}[/]\n")


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; numbers stand to the right."""
    console.print(f"[bold]{title}[/]")
    table = Table(*columns, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*(f"{cell:,.1f}" if isinstance(cell, float) else str(cell) for cell in row))
    console.print(table)
    console.print()


def quantile(values: Iterable[float], share: float) -> float:
    """The value that `share` of them do not exceed (nearest rank); NaN for none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else float("nan")


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain", "-uno") else "")


def _machine() -> dict[str, Any]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    return {
        "processor": processor,
        "cores": len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
