"""How long to wait before a process that died is started again."""


class Backoff:
    """Doubles from `first` to `most` seconds, and starts over once the process ran well for `healthy` seconds."""

    def __init__(self, first: float = 0.5, most: float = 30.0, healthy: float = 60.0) -> None:
        self._first = first
        self._most = most
        self._healthy = healthy
        self._next = first

    def delay(self, ran: float) -> float:
        """Seconds to wait after a run that lasted `ran` seconds."""
        if ran >= self._healthy:
            self._next = self._first
        delay = self._next
        self._next = min(self._next * 2, self._most)
        return delay
