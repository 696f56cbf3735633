"""Text as it stands: plain text, Markdown, CSV, source code, logs, JSON."""

import json

from .encoding import decode
from .result import Extraction, Source


def extract(source: Source) -> Extraction:
    """The decoded text."""
    data, cut = source.head()
    return Extraction(pages=[decode(data)], cut=cut)


def extract_json(source: Source) -> Extraction:
    """The text of the file; where it hides letters behind escapes (`\\u00e9`), the same document without them."""
    data, cut = source.head()
    text = decode(data)
    if "\\u" in text and not cut:
        try:
            text = json.dumps(json.loads(text), ensure_ascii=False, indent=1)
        except (ValueError, RecursionError):
            return Extraction(pages=[text])  # JSON lines, comments, trailing commas: still text
    return Extraction(pages=[text], cut=cut)
