"""The demo's samples hold what its catalog says, in every family, and are the same bytes on every run."""

import io
import os
import re
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import kreuzberg
import pypdfium2  # type: ignore[import-untyped]
import pytest
from demo.catalog import QUERIES, SAMPLES, Query, Sample
from demo.make_samples import TEXTS, make_samples, render

FAMILIES = {
    ".pdf", ".docx", ".xlsx", ".pptx", ".odt", ".rtf", ".html", ".epub", ".md", ".txt", ".csv", ".json", ".eml",
    ".png", ".jpg",
}  # fmt: skip
SCANS = [sample for sample in SAMPLES if "scan" in sample.tags]
BY_NAME = {sample.name: sample for sample in SAMPLES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds every sample."""
    return make_samples(tmp_path_factory.mktemp("samples"))[0].parent


def pages(folder: Path, sample: Sample) -> list[str]:
    """The text of each page, or of the whole where the format has no pages; of a scan, what was drawn."""
    path = folder / sample.name
    if path.suffix == ".pdf":
        return [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(path)]
    if sample in SCANS:
        return [(TEXTS / sample.source).read_text(encoding="utf-8")]
    return [kreuzberg.extract_file_sync(path).content]


def flat(text: str) -> str:
    return " ".join(text.split())


def test_every_family_is_there_and_every_name_once() -> None:
    assert {Path(sample.name).suffix for sample in SAMPLES} == FAMILIES
    assert len(BY_NAME) == len(SAMPLES)


def test_facets_have_something_to_count() -> None:
    assert {sample.language for sample in SAMPLES} == {"en", "de", "fr", "es"}
    assert len({sample.folder for sample in SAMPLES}) >= 8
    assert all(sample.tags for sample in SAMPLES)
    shared = [tag for sample in SAMPLES for tag in sample.tags]
    assert len([tag for tag in set(shared) if shared.count(tag) >= 2]) >= 15


def test_the_samples_are_written_under_their_names(tmp_path: Path) -> None:
    paths = make_samples(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [sample.name for sample in SAMPLES]
    assert all(path.stat().st_size > 1000 for path in paths)


def test_the_bytes_are_the_same_on_another_day(monkeypatch: pytest.MonkeyPatch) -> None:
    today = {sample.name: render(sample) for sample in SAMPLES}
    later = time.time() + 100_000
    monkeypatch.setattr(time, "time", lambda: later)
    assert [name for name, data in today.items() if render(BY_NAME[name]) != data] == []


@pytest.mark.parametrize("name", [name for name in BY_NAME if name.endswith(("docx", "xlsx", "pptx", "odt", "epub"))])
def test_a_container_does_not_say_when_it_was_written(name: str) -> None:
    with zipfile.ZipFile(io.BytesIO(render(BY_NAME[name]))) as archive:
        assert {info.date_time for info in archive.infolist()} == {(2024, 11, 30, 12, 0, 0)}
        dates = [re.findall(rb"<dcterms:\w+[^>]*>([^<]+)<", archive.read(info)) for info in archive.infolist()]
    assert {date for found in dates for date in found} <= {b"2024-11-30T12:00:00Z"}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_sample_is_worth_searching(folder: Path, sample: Sample) -> None:
    assert len(re.findall(r"[^\W\d_]{2,}", " ".join(pages(folder, sample)))) >= 150


def test_the_pdfs_have_the_pages_that_their_text_asks_for(folder: Path) -> None:
    counts = {sample.name: len(pages(folder, sample)) for sample in SAMPLES if sample.name.endswith(".pdf")}
    assert counts == {"annual-report-2024.pdf": 6, "shutter-incident-review.pdf": 4, "glacier-mass-balance.pdf": 5}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.text)
def test_a_query_finds_what_really_stands_there(folder: Path, query: Query) -> None:
    sample = BY_NAME[query.finds]
    found = [number for number, text in enumerate(pages(folder, sample), start=1) if query.phrase in flat(text)]
    assert found == [query.page or 1]
    assert query.language in (None, sample.language)


@pytest.mark.parametrize("query", [query for query in QUERIES if query.mode == "keyword"], ids=lambda query: query.text)
def test_the_words_of_a_keyword_query_stand_in_the_sample(folder: Path, query: Query) -> None:
    text = flat(" ".join(pages(folder, BY_NAME[query.finds]))).lower()
    assert [word for word in query.text.lower().split() if word not in text] == []


def test_the_queries_show_every_mode() -> None:
    assert {query.mode for query in QUERIES} == {"keyword", "semantic", "hybrid"}


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
@pytest.mark.parametrize("sample", SCANS, ids=lambda sample: sample.name)
def test_tesseract_reads_nearly_every_word_of_a_scan(folder: Path, sample: Sample) -> None:
    read = subprocess.run(
        ["tesseract", "-", "-"],
        input=(folder / sample.name).read_bytes(),
        capture_output=True,
        check=True,
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
    )
    drawn = set(pages(folder, sample)[0].split())
    assert len(drawn & set(read.stdout.decode().split())) > 0.95 * len(drawn)


def test_the_query_on_hypothermia_cannot_be_answered_by_its_words(folder: Path) -> None:
    handbook = flat(" ".join(pages(folder, BY_NAME["winter-handbook.docx"]))).lower()
    assert "hypothermia" not in handbook
    assert "symptom" not in handbook
