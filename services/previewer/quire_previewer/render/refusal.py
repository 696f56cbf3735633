"""Why a document cannot be rendered, in the words that its owner reads."""


class Refusal(Exception):
    """The document is bad and stays bad. `reason` is `corrupt`, `encrypted` or `limit`; `detail` is a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
