"""A store in a folder, sandboxes with the previewer's code in them, and the handlers between the two."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from quire_contracts import DocumentUploaded
from quire_previewer.child import PRELOAD
from quire_previewer.handlers import Handlers
from quire_previewer.main import OFFICE_FILES
from quire_runtime.sandbox import Limits, Sandbox
from quire_runtime.settings import ServiceSettings
from quire_runtime.storage import Store, open_store
from tests.support import examples

SOFFICE = shutil.which("soffice")


@dataclass
class Previewer:
    """Handlers on a real store and a real sandbox; `office` is what they take for LibreOffice's sandbox."""

    store: Store
    sandbox: Sandbox
    pages: int = 2
    office: Sandbox | None = None

    @property
    def handlers(self) -> Handlers:
        return Handlers(self.store, self.sandbox, pages=self.pages, office=self.office, soffice=SOFFICE)

    async def uploaded(self, content: bytes, media_type: str) -> DocumentUploaded:
        """The event of a document whose content is in the store."""
        event = examples.uploaded(media_type=media_type, size=len(content))
        await self.store.put(event.data.content_key, content)
        return event


OpenSandbox = Callable[..., Awaitable[Sandbox]]


@pytest.fixture
async def previewer(tmp_path: Path) -> AsyncIterator[Previewer]:
    store = open_store(ServiceSettings(store_url=f"file://{tmp_path / 'objects'}"))
    async with Sandbox(PRELOAD, workers=1, limits=Limits(wall_s=60)) as sandbox:
        yield Previewer(store, sandbox)


@pytest.fixture
async def office(previewer: Previewer) -> AsyncIterator[Previewer]:
    """The same with LibreOffice; tests that ask for it are skipped where it is not installed."""
    if SOFFICE is None:
        pytest.skip("LibreOffice is not installed")
    limits = Limits(wall_s=100)
    async with Sandbox(PRELOAD, workers=1, limits=limits, allow_exec=True, read_paths=OFFICE_FILES) as sandbox:
        previewer.office = sandbox
        yield previewer


class Broken(Store):
    """A store whose writes fail."""

    def __init__(self, real: Store) -> None:
        self.__dict__.update(real.__dict__)

    async def put(self, key: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")


def broken(store: Store) -> Any:
    """That store, out of space."""
    return Broken(store)
