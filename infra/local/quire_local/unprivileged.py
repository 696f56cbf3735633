"""Running a server that refuses root, as root: as the user nobody, with no change to the machine."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from quire_local.process import Missing

USER = "nobody"


def prefix(folder: Path, program: Path) -> tuple[str, ...]:
    """Words to put before a command so that it can work in `folder`; none unless we are root.

    Where the folder or the program lies below a folder that others cannot enter, the process gets the one capability
    that lets it pass (CAP_DAC_OVERRIDE), which widens no permission on disk and ends with the process. It is to count
    in access(2) too, by which initdb looks for the programs beside it; the kernel leaves it out there otherwise.
    """
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        raise Missing("PostgreSQL refuses to run as root and setpriv (util-linux) is missing: use another user")
    user = pwd.getpwnam(USER)
    drop = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    reach = ("sh", "-c", 'test -w "$1" && "$2" --version', "sh", str(folder), str(program))
    if subprocess.run((*drop, *reach), capture_output=True, check=False).returncode == 0:
        return drop
    return (*drop, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup")


def own(path: Path) -> None:
    """Give a path to that user where we are root."""
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        os.chown(path, user.pw_uid, user.pw_gid)
