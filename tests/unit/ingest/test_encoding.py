"""Text of any encoding is read as it was written."""

import codecs

import pytest

from quire_ingest.extract.encoding import decode

GERMAN = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich."
FRENCH = "Les élèves français étaient très fâchés : où êtes-vous ? Voilà déjà l’été."
POLISH = "Zażółć gęślą jaźń. Pchnąć w tę łódź jeża lub ośm skrzyń fig."
TURKISH = "Şu anda İstanbul'da yağmur yağıyor, dün akşam çığ düştü."
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю."
GREEK = "Ο κόσμος είναι μεγάλος και όμορφος, και η μέρα είναι καλή."
HEBREW = "שלום עולם, מה שלומך היום ומה שלום המשפחה"
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
CHINESE = "这是一个测试文件，其中包含一些中文字符，我们想知道它的编码。"
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "cp1252"), (FRENCH, "cp1252"), ("He said “hello” – it’s fine", "cp1252"), ("café", "latin-1"),
        (POLISH, "cp1250"), (TURKISH, "cp1254"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8_r"), (GREEK, "cp1253"),
        (HEBREW, "cp1255"), (JAPANESE, "shift_jis"), (CHINESE, "gb18030"), (KOREAN, "euc_kr"),
        (GERMAN, "utf-16-le"), (GERMAN, "utf-16-be"), (GERMAN, "utf-8"), ("plain ASCII", "ascii"), ("", "ascii"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("times", [1, 200])
def test_an_undeclared_encoding_is_told_by_what_makes_words(text: str, encoding: str, times: int) -> None:
    assert decode((text * times).encode(encoding)) == text * times


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_a_byte_order_mark_wins_over_what_is_declared(mark: bytes, encoding: str) -> None:
    assert decode(mark + GERMAN.encode(encoding), declared="cp1251") == GERMAN


def test_a_declared_encoding_is_believed() -> None:
    assert decode("ÀÁÂ".encode("cp1252"), declared="iso-8859-1") == "ÀÁÂ"


@pytest.mark.parametrize("declared", ["iso-8859-1", "us-ascii", "Windows-1252"])
def test_utf8_that_was_declared_by_habit_as_latin_is_utf8_all_the_same(declared: str) -> None:
    assert decode("naïve café – “so”".encode(), declared) == "naïve café – “so”"
    assert decode("naïve café".encode("cp1252"), "iso-8859-1") == "naïve café"


@pytest.mark.parametrize("declared", ["no-such-charset", "hex", "idna", "x-user-defined"])
def test_a_declared_encoding_that_nobody_knows_is_ignored(declared: str) -> None:
    assert decode(GERMAN.encode(), declared=declared) == GERMAN


def test_a_few_broken_bytes_do_not_change_how_the_rest_is_read() -> None:
    assert decode(GERMAN.encode() + b" \xff " + GERMAN.encode()) == f"{GERMAN} \ufffd {GERMAN}"


def test_a_character_cut_at_the_end_does_not_change_how_the_rest_is_read() -> None:
    assert decode((GERMAN + "é").encode()[:-1]) == GERMAN + "\ufffd"


def test_the_line_that_tells_may_be_far_behind_ascii() -> None:
    text = "An ordinary line of the log.\n" * 5_000 + RUSSIAN
    assert decode(text.encode("cp1251")) == text
