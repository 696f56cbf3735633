"""Reading from and removing a directory that somebody hostile filled."""

import os
from pathlib import Path

import pytest

from quire_runtime.sandbox import directory


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("secret")
    path = tmp_path / "job"
    (path / "pages").mkdir(parents=True)
    (path / "pages" / "1.webp").write_bytes(b"page")
    (path / "link").symlink_to(tmp_path / "secret")
    (path / "folder").symlink_to(tmp_path)
    os.mkfifo(path / "fifo")
    return path


def test_a_regular_file_is_opened_also_inside_of_a_folder(hostile: Path) -> None:
    with directory.open_file(hostile, "pages/1.webp") as file:
        assert file.read() == b"page"


@pytest.mark.parametrize("name", ["link", "folder/secret", "fifo", "pages", "../secret", "/etc/passwd", "", "pages/"])
def test_anything_but_a_regular_file_below_is_refused(hostile: Path, name: str) -> None:
    with pytest.raises(PermissionError):
        directory.open_file(hostile, name)


def test_a_missing_file_is_missing(hostile: Path) -> None:
    with pytest.raises(FileNotFoundError):
        directory.open_file(hostile, "pages/2.webp")


def test_removal_takes_everything_below_and_nothing_that_links_point_to(hostile: Path, tmp_path: Path) -> None:
    (hostile / "closed").mkdir()
    (hostile / "closed" / "file").write_text("x")
    (hostile / "closed").chmod(0)
    directory.remove(hostile)
    assert not hostile.exists()
    assert (tmp_path / "secret").read_text() == "secret"


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    directory.remove(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_only_a_few_files_without_a_folder_count_as_small(tmp_path: Path) -> None:
    assert directory.is_small(tmp_path)
    (tmp_path / "folder").mkdir()
    assert not directory.is_small(tmp_path)
    (tmp_path / "folder").rmdir()
    for number in range(40):
        (tmp_path / str(number)).touch()
    assert not directory.is_small(tmp_path)
