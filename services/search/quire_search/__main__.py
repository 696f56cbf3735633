"""`python -m quire_search` serves; `python -m quire_search migrate` brings the database's schema up to date."""

import sys

from quire_runtime.errors import StartupError

from .main import SCHEMA, main
from .settings import SearchSettings


def command(arguments: list[str]) -> None:
    """Run the command that the arguments name."""
    match arguments:
        case []:
            main()
        case ["migrate"]:
            from quire_runtime.migrate import migrate  # here, so that a serving process does not carry it

            try:
                migrate(SearchSettings.read().database_url, "quire_search", SCHEMA)
            except StartupError as error:
                sys.exit(str(error))
        case _:
            sys.exit(f"usage: python -m quire_search [migrate], not {' '.join(arguments)}")


if __name__ == "__main__":
    command(sys.argv[1:])
