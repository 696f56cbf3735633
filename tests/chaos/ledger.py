"""What clients did and were told: one line for each upload that was tried, whatever came of it."""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from tests.support.checker import Upload

Content = tuple[str, bytes]
"""File name and bytes."""

REFUSED = (503, 429)
"""Answers after which a client tries again."""


@dataclass
class Ledger:
    """Every upload of a run, in the order of the answers."""

    uploads: list[Upload] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    """Documents whose deletion was answered with 2xx, or not at all."""
    retry_after_missing: int = 0
    """503 answers without the header that says when to come again."""

    def accepted(self) -> set[str]:
        """Ids that were answered with 2xx."""
        return {one.document for one in self.uploads if one.document is not None}

    def since(self, mark: int) -> list[Upload]:
        """What was tried since `len(uploads)` was `mark`."""
        return self.uploads[mark:]


class Client:
    """Uploads as a patient program does: what is refused for now, or breaks off, is sent again until it is taken."""

    def __init__(self, http: httpx.Client, workspace: str, ledger: Ledger) -> None:
        self.http = http
        self._workspace = workspace
        self._ledger = ledger
        self._lock = threading.Lock()

    def once(self, name: str, content: bytes) -> Upload:
        """One attempt; status 0 where no answer came."""
        sha256 = hashlib.sha256(content).hexdigest()
        document, status = None, 0
        try:
            answer = self.http.post("/api/v1/documents", files={"file": (name, content)})
            status = answer.status_code
            if status in {200, 202}:
                document = str(answer.json()["id"])
            if status == 503 and "retry-after" not in answer.headers:
                self._ledger.retry_after_missing += 1
        except httpx.TransportError:
            pass
        upload = Upload(document, status, sha256, time.time(), self._workspace)
        with self._lock:
            self._ledger.uploads.append(upload)
        return upload

    def until_taken(self, name: str, content: bytes, within_s: float = 300) -> str:
        """The id; fails where it is refused for good, or not taken in time."""
        deadline = time.monotonic() + within_s
        pause = 0.05
        while True:
            upload = self.once(name, content)
            if upload.document is not None:
                return upload.document
            if upload.status and upload.status not in REFUSED:
                raise AssertionError(f"{name} was answered with {upload.status}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} was not taken within {within_s} s")
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, 2)

    def all(
        self, contents: Iterable[Content], threads: int = 4, taken: Callable[[int], None] = lambda _: None
    ) -> Sequence[str]:
        """Upload all of them over several connections; `taken(n)` is called after the n-th was taken."""
        count = 0

        def one(content: Content) -> str:
            nonlocal count
            document = self.until_taken(*content)
            with self._lock:
                count += 1
                now = count
            taken(now)
            return document

        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(one, contents))
