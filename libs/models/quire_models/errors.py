"""What can go wrong with a model that is reached over a network; a local model raises none of these."""


class ModelError(Exception):
    """No vectors were made."""


class RateLimited(ModelError):
    """The server asks for patience: the same call may succeed after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelUnavailable(ModelError):
    """The server was not reached, timed out, failed or answered nonsense: the same call may succeed later."""


class ModelRefused(ModelError):
    """The server understood and declined (key, model name, input, dimensions): the same call fails again.

    `status` is the HTTP status, or None where the answer itself does not fit the space.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
