"""The named outcomes of a handler that are not success; every other exception is transient."""


class Permanent(Exception):
    """The input is bad and will stay bad: the document's stage fails with this reason and nothing is retried.

    `reason` is a short code (`encrypted`, `corrupt`, `limit`, `unsupported`, …), `detail` a sentence for the owner.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Later(Exception):
    """Not now: come back after `delay_s` seconds. Not counted as an attempt until the deadline for postponing ends."""

    def __init__(self, delay_s: float, why: str) -> None:
        super().__init__(f"postponed for {delay_s:g} s: {why}")
        self.delay_s = delay_s


class Refused(Exception):
    """The event contradicts what is known, for example its document's workspace: it is parked, and a person looks."""


class StartupError(Exception):
    """The service cannot start; the message says what is missing and how to get it."""
