"""`python -m tests.chaos [rows | storm | soak]`: breaks a stack of its own and says whether the promise was kept.

    python -m tests.chaos                                  every row of the table
    python -m tests.chaos rows killed broker-crash --documents 1000
    python -m tests.chaos storm --documents 10000          random deaths at full speed
    python -m tests.chaos soak --minutes 20                a steady day in short

Exits with 1 where an invariant broke.
"""

import argparse
import fnmatch
import logging
import sys

from . import run, soak, storm


def main() -> int:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_subparsers(dest="what")
    rows = what.add_parser("rows", help="rows of the table of faults, all by default")
    rows.add_argument("names", nargs="*", help="names or patterns: " + ", ".join(run.ROWS))
    rows.add_argument("--documents", type=int, help="instead of each row's own number")
    stormy = what.add_parser("storm", help="random deaths while documents come in at full speed")
    stormy.add_argument("--documents", type=int, default=10_000)
    steady = what.add_parser("soak", help="a steady load, watching memory and logs")
    steady.add_argument("--minutes", type=float, default=20)
    arguments = parser.parse_args(sys.argv[1:] or ["rows"])
    for name in ("aiormq", "aio_pika"):  # they tell of each connection that a fault broke
        logging.getLogger(name).setLevel(logging.CRITICAL)
    match arguments.what:
        case "storm":
            return storm.run(arguments.documents)
        case "soak":
            return soak.run(arguments.minutes)
    patterns = arguments.names or ["*"]
    chosen = [row for name, row in run.ROWS.items() if any(fnmatch.fnmatch(name, one) for one in patterns)]
    if not chosen:
        parser.error(f"no row is named {', '.join(patterns)}")
    return min(1, run.run(chosen, arguments.documents))


if __name__ == "__main__":
    sys.exit(main())
