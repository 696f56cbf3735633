"""Where the client finds its server and key."""

from pathlib import Path

import pytest

from quire_client import NoCredentials, Quire, settings

FILE = "# local stack\nQUIRE_URL=http://127.0.0.1:4000\nQUIRE_API_KEY='qk_file'\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".quire").mkdir()
    (tmp_path / ".quire" / "credentials.env").write_text(FILE)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    return below


def test_the_environment_comes_first(folder: Path) -> None:
    found = settings.find({"QUIRE_URL": "http://x:1/", "QUIRE_API_KEY": "qk_env"}, folder)
    assert (found.url, found.api_key, found.file) == ("http://x:1", "qk_env", None)


def test_else_the_file_of_the_nearest_folder_above(folder: Path) -> None:
    found = settings.find({}, folder)
    assert (found.url, found.api_key) == ("http://127.0.0.1:4000", "qk_file")
    assert found.file == folder.parents[1] / ".quire" / "credentials.env"


def test_quire_home_names_the_folder_alone(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "credentials.env").write_text(FILE.replace("qk_file", "qk_home"))
    assert settings.find({"QUIRE_HOME": str(home)}, folder).api_key == "qk_home"
    with pytest.raises(NoCredentials):
        settings.find({"QUIRE_HOME": str(tmp_path / "empty")}, folder)


def test_another_key_may_be_used_on_the_server_of_the_file(folder: Path) -> None:
    found = settings.find({"QUIRE_API_KEY": "qk_env"}, folder)
    assert (found.url, found.api_key) == ("http://127.0.0.1:4000", "qk_env")


def test_the_key_of_the_file_is_not_sent_to_another_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoCredentials, match="set QUIRE_API_KEY"):
        settings.find({"QUIRE_URL": "https://elsewhere.example"}, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("QUIRE_HOME", raising=False)
    with pytest.raises(NoCredentials, match="give api_key"):
        Quire("https://elsewhere.example")


def test_nothing_found_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoCredentials, match="start one with `make up`, or set QUIRE_URL and QUIRE_API_KEY"):
        settings.find({}, tmp_path)


def test_the_key_is_not_shown_by_accident(folder: Path) -> None:
    assert "qk_file" not in repr(settings.find({}, folder))
