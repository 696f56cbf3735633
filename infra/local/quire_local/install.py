"""Installs what the native stack needs and this machine lacks: RabbitMQ, Redis, tesseract, LibreOffice."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from quire_local import rabbitmq, redis_server

Say = Callable[[str], None]


class CannotInstall(RuntimeError):
    """Something is missing and there is no way to get it from here; the text says how a person can."""


@dataclass(frozen=True)
class Need:
    """One program: where it comes from, and whether the stack can do without it."""

    title: str
    debian: str
    """Names of packages, separated by blanks."""
    brew: str
    without: str = ""
    """What the stack does without it; empty when it cannot."""


RABBITMQ = Need("RabbitMQ", "rabbitmq-server", "rabbitmq")
REDIS = Need("Redis", "redis-server", "redis")
TESSERACT = Need("tesseract", "tesseract-ocr", "tesseract", without="scans fail as ocr_unavailable")
LIBREOFFICE = Need(
    "LibreOffice",
    "libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui",
    "--cask libreoffice",
    without="office documents are searchable, but have no preview",
)

# Services of new packages are not to start: the stack runs its own. RUNLEVEL speaks to sysvinit, policy-rc.d to all.
AS_ROOT = """
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\\nexit 101\\n' > "$policy" && chmod 755 "$policy" && trap 'rm -f "$policy"' EXIT
fi
get() { apt-get install -y --no-install-recommends "$@"; }
get "$@" || { apt-get update && get "$@"; }
"""


def missing(home: Path) -> list[Need]:
    """What this machine lacks, with what was unpacked under the home counted as there."""
    there = {
        RABBITMQ: rabbitmq.find(home) is not None,
        REDIS: redis_server.find() is not None,
        TESSERACT: shutil.which("tesseract") is not None,
        LIBREOFFICE: shutil.which("soffice") is not None,
    }
    return [need for need, found in there.items() if not found]


def install(home: Path, say: Say) -> None:
    """Get what is missing in the way this machine allows; raises CannotInstall when the stack could not run."""
    needs = missing(home)
    if not needs:
        say("nothing is missing")
        return
    say(f"missing: {_titles(needs)}")
    if sys.platform == "darwin":
        raise CannotInstall(f"install {_titles(needs)} with: brew install {' '.join(need.brew for need in needs)}")
    if shutil.which("apt-get") is None:
        _settle_for(needs, say, "install them with this machine's package manager, for example: dnf install")
        return
    become_root = _way_to_root()
    if become_root is not None:
        _run((*become_root, "sh", "-c", AS_ROOT, "sh", *_packages(needs)))
        say(f"installed {_titles(needs)}; their system services were not started")
        return
    if RABBITMQ in needs:
        say(f"without root, RabbitMQ is unpacked under {home / 'opt'}")
        unpack(packages_for(RABBITMQ.debian, home), home)
    _settle_for(missing(home), say, "ask for: apt-get install")


def _packages(needs: Sequence[Need]) -> list[str]:
    return [name for need in needs for name in need.debian.split()]


def packages_for(package: str, home: Path) -> list[str]:
    """The packages that installing this one would add, as apt reckons; fetches package lists where there are none."""
    command = ("apt-get", "-s", "install", "--no-install-recommends", package)
    simulated = subprocess.run(command, capture_output=True, text=True, check=False)
    if simulated.returncode != 0:
        _run(("apt-get", *_own_lists(home), "update"))
        simulated = subprocess.run(
            ("apt-get", *_own_lists(home), *command[1:]), capture_output=True, text=True, check=False
        )
    if simulated.returncode != 0:
        raise CannotInstall(f"apt does not know {package}: {simulated.stderr.strip()}")
    return re.findall(r"^Inst (\S+)", simulated.stdout, re.MULTILINE)


def unpack(packages: Sequence[str], home: Path) -> None:
    """Download the packages and lay their files out under `opt`, for use from there."""
    opt = rabbitmq.opt(home)
    archive = opt / "apt" / "archives"
    archive.mkdir(parents=True, exist_ok=True)
    lists = _own_lists(home) if (opt / "apt" / "lists").exists() else ()
    _run(("apt-get", *lists, "download", *packages), cwd=archive)
    for package in sorted(archive.glob("*.deb")):
        _run(("dpkg", "-x", str(package), str(opt)))
        package.unlink()
    _relocate_erlang(opt / "usr" / "lib" / "erlang")


def _relocate_erlang(root: Path) -> None:
    """Erlang's start script has the folder it was built for written into it."""
    start = root / "bin" / "erl"
    if start.exists():
        start.write_text(re.sub(r"ROOTDIR=/usr/lib/erlang\b", f'ROOTDIR="{root}"', start.read_text()))


def _own_lists(home: Path) -> tuple[str, ...]:
    """Options with which apt keeps its lists and cache under the home, where no root is needed."""
    apt = rabbitmq.opt(home) / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    return ("-o", f"Dir::State::Lists={apt / 'lists'}", "-o", f"Dir::Cache={apt / 'cache'}")


def _way_to_root() -> tuple[str, ...] | None:
    if os.geteuid() == 0:
        return ()
    if (
        shutil.which("sudo")
        and subprocess.run(("sudo", "-n", "true"), capture_output=True, check=False).returncode == 0
    ):
        return ("sudo", "-n")
    return None


def _settle_for(needs: Sequence[Need], say: Say, how: str) -> None:
    for need in needs:
        if need.without:
            say(f"{need.title} stays missing: {need.without}")
    required = [need for need in needs if not need.without]
    if required:
        raise CannotInstall(f"missing: {_titles(required)}; {how} {' '.join(_packages(required))}")


def _titles(needs: Sequence[Need]) -> str:
    return ", ".join(need.title for need in needs)


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise CannotInstall("\n".join([f"`{command[0]}` failed with code {done.returncode}:", *said]))
