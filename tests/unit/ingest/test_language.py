"""The language is told from enough text, and not guessed from too little."""

import pytest

from quire_ingest.language import detect
from tests.support.documents import generate


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (generate.page(1), "en"),
        ("Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.", "de"),
        ("Portez ce vieux whisky au juge blond qui fume.", "fr"),
        ("Съешь же ещё этих мягких французских булок, да выпей чаю.", "ru"),
        ("吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。", "ja"),
        ("这是一个测试文件，其中包含一些中文字符，我们想知道它的语言。", "zh"),
        ("INVOICE FOR THE GOODS THAT WE DELIVERED TO YOU IN MARCH", "en"),
    ],
)
def test_a_sentence_is_enough(text: str, code: str) -> None:
    assert detect(text) == code


@pytest.mark.parametrize("text", ["", "ok", "Page 1", "2024-05-01 17:30 3.14 " * 50, "| a | b |\n|---|---|\n" * 20])
def test_too_few_words_have_no_language(text: str) -> None:
    assert detect(text) is None


def test_a_title_page_in_another_language_does_not_decide() -> None:
    assert detect("Der Titel dieses Buches auf Deutsch. " * 2 + generate.page(2) * 5) == "en"


def test_a_language_without_a_code_of_two_letters_has_none() -> None:
    assert detect("Kini nga lungsod nahimutang sa lalawigan ug adunay daghang mga tawo nga nagpuyo niini.") is None
