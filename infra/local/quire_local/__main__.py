"""The command `python -m quire_local`."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from quire_local import control, credentials, install, launcher, safekeeping, settings, status
from quire_local.logs import log_path


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 something is down or was refused, 2 something is missing or wrongly asked."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options, settings.load()))
    except settings.SettingsError as error:
        return _fail(str(error), 2)
    except (control.NotRunning, control.Refused, launcher.UpFailed, TimeoutError, install.CannotInstall) as error:
        return _fail(str(error), 2 if isinstance(error, install.CannotInstall) else 1)
    except safekeeping.FAILURES as error:
        return _fail(str(error), 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m quire_local", description="Quire on this machine, without Docker.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything in the background").set_defaults(run=_up)
    commands.add_parser("down", help="stop everything").set_defaults(run=_down)
    shown = commands.add_parser("status", help="processes, health, memory, queues")
    shown.add_argument("--json", action="store_true", help="as one JSON object")
    shown.set_defaults(run=_status)
    scale = commands.add_parser("scale", help="run N workers of a service")
    scale.add_argument("counts", nargs="+", metavar="NAME=N", type=_count)
    scale.set_defaults(run=_scale)
    restart = commands.add_parser("restart", help="end and start a process again")
    restart.add_argument("name")
    restart.set_defaults(run=_restart)
    logs = commands.add_parser("logs", help="the end of the logs")
    logs.add_argument("name", nargs="?")
    logs.add_argument("-n", "--lines", type=int, default=50)
    logs.add_argument("-f", "--follow", action="store_true", help="and what is written from now on")
    logs.set_defaults(run=_logs)
    commands.add_parser("credentials", help="URL, login and API key").set_defaults(run=_credentials)
    safekeeping.add_commands(commands)
    commands.add_parser("install", help="install the servers this machine lacks").set_defaults(run=_install)
    return parser


def _up(_: argparse.Namespace, given: settings.Settings) -> int:
    console = Console(highlight=False)
    with console.status("starting the stack") as spinner:

        def told(name: str, seconds: float) -> None:
            console.print(f"  [green]ready[/] {name} {seconds:.1f} s")
            spinner.update("waiting for the rest")

        ready = launcher.up(given, told=told)
    console.print("already up" if ready.already else f"up after {ready.seconds:.1f} s")
    return _credentials(_, given)


def _down(_: argparse.Namespace, given: settings.Settings) -> int:
    began = time.monotonic()
    stopped = launcher.down(given.home)
    print(f"stopped after {time.monotonic() - began:.1f} s" if stopped else "nothing was running")
    return 0


def _status(options: argparse.Namespace, given: settings.Settings) -> int:
    report = status.collect(given)
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        status.show(report, Console(highlight=False))
    return 0 if status.all_well(report) else 1


def _scale(options: argparse.Namespace, given: settings.Settings) -> int:
    for name, count in options.counts:
        launcher.ask(given.home, {"do": "scale", "name": name, "count": count})
        print(f"{name}: {count}")
    return 0


def _restart(options: argparse.Namespace, given: settings.Settings) -> int:
    launcher.ask(given.home, {"do": "restart", "name": options.name})
    print(f"{options.name}: restarted")
    return 0


def _logs(options: argparse.Namespace, given: settings.Settings) -> int:
    folder = given.home / "logs"
    chosen = [log_path(given.home, options.name)] if options.name else []
    paths = [path for path in chosen or sorted(folder.glob("*.log")) if path.exists()]
    if not paths:
        known = ", ".join(sorted(path.stem for path in folder.glob("*.log"))) or "none yet"
        return _fail(f"no log of that name in {folder}; there are: {known}", 1)
    follow = ("-F",) if options.follow else ()
    command = ("tail", "-n", str(options.lines), *follow, *map(str, paths))
    return subprocess.run(command, check=False).returncode


def _credentials(_: argparse.Namespace, given: settings.Settings) -> int:
    values = credentials.read(given.home)
    if not values:
        return _fail(f"no credentials in {given.home}: start the stack first", 1)
    for name, value in values.items():
        print(f"{name}={value}")
    return 0


def _install(_: argparse.Namespace, given: settings.Settings) -> int:
    install.install(given.home, print)
    return 0


def _count(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not name or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=N, for example embedder=2")
    return name, int(number)


def _fail(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
