"""Text for people: passages, sizes, durations, and bars on a terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from quire_client import Document, Highlight, show
from quire_client.batch import File, Outcome, files_below
from quire_client.progress import view
from tests.integration.client.server import document


def passage(text: str, *words: str) -> Highlight:
    return Highlight(text=text, ranges=[(text.index(word), text.index(word) + len(word)) for word in words])


def test_a_short_passage_is_shown_whole() -> None:
    assert show.excerpt(passage("a north sprocket", "north"), plain=True).plain == "a *north* sprocket"


def test_a_long_passage_is_cut_between_words_around_its_first_match() -> None:
    text = "before " * 100 + "the needle here" + " after" * 100
    shown = show.excerpt(passage(text, "needle"), 100, plain=True).plain
    assert shown.startswith("… before ")
    assert " *needle* " in shown
    assert shown.endswith("after …")
    assert len(shown) < 110


def test_a_passage_without_spaces_is_cut_all_the_same() -> None:
    shown = show.excerpt(passage("x" * 500 + "needle" + "y" * 500, "needle"), 90, plain=True).plain
    assert len(shown) < 100
    assert "*needle*" in shown


def test_offsets_count_characters_and_lines_become_one() -> None:
    assert show.excerpt(passage("🦉 Größe\nund\x1b Maß", "Größe", "Maß"), plain=True).plain == "🦉 *Größe* und  *Maß*"


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_600, "1.0 MB"), (3 * 10**15, "3000.0 TB")]
)
def test_sizes_are_decimal(size: int, words: str) -> None:
    assert show.size(size) == words


@pytest.mark.parametrize(
    ("milliseconds", "words"), [(None, ""), (0, "0 ms"), (1240, "1.24 s"), (190_000, "3 min 10 s")]
)
def test_durations_are_short(milliseconds: int | None, words: str) -> None:
    assert show.duration(milliseconds) == words


def test_a_terminal_gets_bars_for_bytes_and_marks_for_stages() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    file = File(Path("report.pdf"), 1000)
    half = Document.model_validate(
        document(status="processing", title="Report")
        | {"stages": {"ingest": {"status": "done"}, "embed": {"status": "pending"}}}
    )
    shown = []
    with view(console, [file], wait=True) as bars:
        bars.began(file)
        bars.sent(file, 500)
        shown.append(_now(console))
        bars.uploaded(file, half, False)
        bars.changed(file, half)
        shown.append(_now(console))
        bars.ended(Outcome(file, half, error=OSError("broken")))
        shown.append(_now(console))
    sending, processing, ended = shown
    assert "report.pdf" in sending
    assert "500/1000 bytes" in sending.replace("0.5/1.0 kB", "500/1000 bytes")
    assert "Report" in processing
    assert "ingest ✓  embed …" in processing
    assert "failed     report.pdf: broken" in ended
    assert "1/1" in ended


def _now(console: Console) -> str:
    """What the live display shows at this moment, and what was printed before it since the last time."""
    assert isinstance(console.file, io.StringIO)
    console._live_stack[-1].refresh()
    shown = console.file.getvalue()
    console.file.seek(0)
    console.file.truncate()
    return shown


def test_a_folder_gives_its_files_in_order_once_and_its_subfolders_as_folders(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt", ".hidden/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    found = files_below([tmp_path, tmp_path], None, ["t"])
    assert [(file.path.name, file.folder) for file in found] == [("a.txt", None), ("b.txt", None), ("c.txt", "/sub")]
    assert {file.tags for file in found} == {("t",)}
