"""The gateway's own metrics, declared once with their meaning."""

from prometheus_client import Counter, Gauge

DEAD_LETTERS = Gauge("quire_dead_letters", "Messages that no worker could handle and that wait for a person",
                     ["service"])  # fmt: skip
SWEPT = Counter("quire_swept", "Documents the sweeper replayed or failed, objects and unfinished uploads it deleted",
                ["what"])  # fmt: skip
STUCK_DOCUMENTS = Gauge("quire_stuck_documents", "Documents in processing for too long without any progress")
