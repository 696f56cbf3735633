"""Settings come from the environment, and what makes no sense is refused at the start."""

import pytest
from pydantic import ValidationError

from quire_runtime.settings import ServiceSettings


@pytest.mark.parametrize("given", ["50ms 1s", "50ms,1s", " 50ms , 1s "])
def test_a_ladder_is_words(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("QUIRE_RETRY_LADDER", given)
    assert ServiceSettings().retry_ladder == ("50ms", "1s")


@pytest.mark.parametrize(
    ("name", "value"),
    [("RETRY_LADDER", "soon"), ("HTTP_PORT", "70000"), ("PREFETCH", "0"), ("PUBLISH_TIMEOUT_S", "-1")],
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"QUIRE_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        ServiceSettings()


def test_a_secret_does_not_show_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUIRE_S3_SECRET_ACCESS_KEY", "open sesame")
    assert "sesame" not in repr(ServiceSettings())
