"""Bytes of unknown encoding as text: by their mark, by what they declare, as UTF-8, else as the likeliest code page."""

import codecs
import contextlib
import io

from quire_ingest import language

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257")
_OTHERS = ("cp932", "gb18030", "cp949", "big5", "euc_jp", "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256")
_DECLARED_BY_HABIT = {"ascii", "iso8859-1", "cp1252"}
"""What programs declare who never thought of it: what decodes as UTF-8 is that, which Latin text never does."""
_HEAD_BYTES = 2_000
_COMMON_ENOUGH = 0.05
"""By how much another Latin code page has to read better than Windows-1252, which is what people mean by default."""


def decode(data: bytes, declared: str | None = None) -> str:
    """All of `data` as text; what cannot be decoded becomes U+FFFD. `declared` counts unless a mark says otherwise.

    Python's codec names are accepted in `declared`; an unknown one is ignored.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if declared:
        with contextlib.suppress(LookupError, ValueError):
            if codecs.lookup(declared).name in _DECLARED_BY_HABIT:
                with contextlib.suppress(UnicodeDecodeError):
                    return data.decode()
            return data.decode(declared, "replace")
    if wide := _wide(data[:_HEAD_BYTES]):
        return data.decode(wide, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if "unexpected end" in error.reason and not data[: error.start].isascii():
            return data.decode(errors="replace")  # cut inside its last character
    return data.decode(_guess(data), "replace")


def _wide(head: bytes) -> str | None:
    """The byte order of UTF-16 without a mark, told by where its NUL bytes are."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) <= len(head) // 6 or min(even, odd) > max(even, odd) // 4:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _guess(data: bytes) -> str:
    """The encoding in which the first lines that are not ASCII read most like a language.

    Charset detectors tell scripts apart well and code pages of one script badly; a language model does both.
    """
    sample = _telling_lines(data)
    letters = sum(map(str.isalpha, sample.decode("ascii", "ignore")))
    lenient = sample.decode(errors="replace")
    if sum(map(str.isalpha, lenient)) - letters > lenient.count("\ufffd"):
        return "utf-8"  # a few broken sequences among good ones
    mostly_ascii = len(sample) - len(sample.decode("ascii", "ignore")) < letters
    scores = {}
    for encoding in _LATIN if mostly_ascii else (*_OTHERS, *_LATIN):
        try:
            words = codecs.getincrementaldecoder(encoding)().decode(sample)  # the sample may end inside a character
        except UnicodeDecodeError:
            continue
        scores[encoding] = language.score(words)[1] + _COMMON_ENOUGH * (encoding == "cp1252")
    return max(scores, key=scores.__getitem__, default="cp1252")


def _telling_lines(data: bytes) -> bytes:
    found = bytearray()
    for line in io.BytesIO(data):
        if not line.isascii():
            found += line[:_HEAD_BYTES]
            if len(found) >= _HEAD_BYTES:
                break
    return bytes(found[:_HEAD_BYTES])
