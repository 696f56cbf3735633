"""Office documents as pictures: LibreOffice writes their first pages as a PDF, PDFium draws them."""

import json
import signal
import subprocess
import zipfile
from pathlib import Path

from . import pdf
from .families import OFFICE
from .no_tmp import nothing_is_writable
from .refusal import Refusal

MAX_UNPACKED = 1 << 30
"""Bytes that the parts of a zipped document may declare together."""

PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
 <item oor:path="/org.openoffice.Office.Common/Security/Scripting">
  <prop oor:name="MacroSecurityLevel" oor:op="fuse"><value>3</value></prop>
  <prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop>
  <prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop>
 </item>
 <item oor:path="/org.openoffice.Office.Writer/Content/Update">
  <prop oor:name="Link" oor:op="fuse"><value>0</value></prop>
 </item>
 <item oor:path="/org.openoffice.Office.Calc/Content/Update">
  <prop oor:name="Link" oor:op="fuse"><value>1</value></prop>
 </item>
</oor:items>
"""
"""What a fresh profile says: no macro runs, and no link is followed (0 and 1 both mean never, each in its program)."""

RESTART = 81
"""Exit code of LibreOffice when it has made a fresh profile and wants to be started again."""

_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def pages(source: Path, media_type: str, first: int, folder: Path, soffice: str) -> tuple[int | None, pdf.Pages]:
    """The first `first` pages, and how many there are: None where there are more, as only those are laid out.

    Writes into `folder`, which holds `source`, and renames that. Raises `Refusal`: encrypted, corrupt, limit.
    """
    ending = OFFICE[media_type]
    _look_inside(source)
    named = source.rename(source.with_name(f"document.{ending}"))
    # One page more than is shown tells whether there are more.
    written = _convert(named, ending, first + 1, folder, soffice)
    count, found = pdf.pages(written, first)
    return (count if count <= first else None), found


def _look_inside(source: Path) -> None:
    """Raises `Refusal` for what LibreOffice would refuse without saying why, or would choke on."""
    with source.open("rb") as file:
        start = file.read(8)
    if start == _COMPOUND_FILE and "EncryptedPackage".encode("utf-16-le") in source.read_bytes():
        raise Refusal("encrypted", "This document opens only with its password.")
    if not start.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(source) as container:
            entries = container.infolist()
            manifest = [entry for entry in entries if entry.filename == "META-INF/manifest.xml"]
            if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
                raise Refusal("limit", f"This document unpacks to more than {MAX_UNPACKED >> 20} MiB.")
            for entry in manifest:
                with container.open(entry) as part:
                    if b"encryption-data" in part.read(1 << 20):
                        raise Refusal("encrypted", "This document opens only with its password.")
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, EOFError) as error:
        raise Refusal("corrupt", f"This document cannot be unpacked: {error}") from None


def _convert(source: Path, ending: str, pages: int, folder: Path, soffice: str) -> Path:
    profile = folder / "profile"
    (profile / "user").mkdir(parents=True, exist_ok=True)
    (profile / "user" / "registrymodifications.xcu").write_text(PROFILE)
    options = json.dumps({"PageRange": {"type": "string", "value": f"1-{pages}"}})
    command = [_binary(soffice), f"-env:UserInstallation={profile.as_uri()}", "-env:OSL_SOCKET_PATH=."]
    command += ["--headless", "--norestore", "--nolockcheck"]
    command += ["--convert-to", f"pdf:{_program(ending)}_pdf_Export:{options}", "--outdir", str(folder), str(source)]
    done = _run(command, folder)
    if done.returncode == RESTART:
        done = _run(command, folder)
    written = folder / f"{source.stem}.pdf"
    if written.is_file() and written.stat().st_size > 0:
        return written
    raise _refusal(done)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    # The wall clock is the sandbox's: it ends this whole process group.
    return subprocess.run(  # noqa: S603
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False, preexec_fn=nothing_is_writable
    )


def _binary(soffice: str) -> str:
    """The program itself where `soffice` is the script that starts what starts it, and insists on a socket in /tmp."""
    binary = Path(soffice).resolve().with_name("soffice.bin")
    return str(binary) if binary.is_file() else soffice


def _program(ending: str) -> str:
    """The part of LibreOffice whose PDF export a file with this ending takes."""
    if ending.startswith("x") or ending in ("ods", "ots", "fods"):
        return "calc"
    if ending.startswith("p") or ending in ("odp", "otp", "fodp"):
        return "impress"
    return "draw" if ending == "odg" else "writer"


def _refusal(done: subprocess.CompletedProcess[bytes]) -> Refusal:
    """What LibreOffice's end says about the document: its exit code is 0 even where it could not open it."""
    said = done.stderr.decode(errors="replace").partition("Stack:")[0]
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return Refusal("limit", "LibreOffice needs longer to lay this document out than is allowed.")
    if "bad_alloc" in said:
        return Refusal("limit", "LibreOffice needs more memory to lay this document out than is allowed.")
    if done.returncode == 0:
        return Refusal("corrupt", "LibreOffice cannot open this document: it is damaged, or protected by a password.")
    return Refusal("corrupt", f"LibreOffice fails on this document: {' '.join(said.split()) or done.returncode}"[:500])
