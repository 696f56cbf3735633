"""`python -m tests.bench [latency|memory|throughput|…] [--documents N]`: measures, prints and saves.

Without names everything is measured, one after the other. docs/benchmarks.md tells what the figures mean.
"""

import argparse
from collections.abc import Callable

from . import fairness, hop, latency, memory, profiling, throughput

DOCUMENTS = {"latency": 50, "memory": 200, "throughput": 2000, "hop": 1500, "profile": 600, "fairness": 5000}
MEASURE: dict[str, Callable[[int], None]] = {
    "latency": latency.measure,
    "memory": memory.measure,
    "throughput": throughput.measure,
    "hop": hop.measure,
    "profile": profiling.measure,
    "fairness": fairness.measure,
}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="*", choices=[*MEASURE, []], help="all of them by default")
    parser.add_argument("--documents", type=int, help="how many, for a quicker or a longer run")
    arguments = parser.parse_args()
    for name in arguments.what or MEASURE:
        MEASURE[name](arguments.documents or DOCUMENTS[name])


if __name__ == "__main__":
    main()
