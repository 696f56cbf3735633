"""Text as the rest of Quire may rely on it: only characters that can be stored, encoded and shown."""

import re

_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
_UNWANTED_ASCII = bytes(code for code in range(128) if _UNWANTED.match(chr(code)))
_BREAKS = ("\r\n", "\r", "\x85", "\u2028", "\u2029")
_TRAILING = re.compile("[ \t]+(?=\n)")


def clean(text: str) -> str:
    """`text` with line feeds as its only line breaks and no control characters, lone surrogates or noncharacters.

    White space at the ends of lines and of the text goes too. A form feed goes as well: it separates pages.
    """
    for line_break in _BREAKS:
        text = text.replace(line_break, "\n")
    # The first way is twenty times as fast, and what most text takes.
    text = text.encode().translate(None, _UNWANTED_ASCII).decode() if text.isascii() else _UNWANTED.sub("", text)
    if " \n" in text or "\t\n" in text:
        text = _TRAILING.sub("", text)
    return text.strip()
