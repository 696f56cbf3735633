"""Office documents, e-books and rich text, by kreuzberg; its own OCR, images, caches and post-processing are off."""

import re

import kreuzberg

from . import container
from .package import opened, paragraphs
from .result import Extraction, Source, Unreadable

_CONFIG = kreuzberg.ExtractionConfig(
    use_cache=False,
    enable_quality_processing=False,
    postprocessor=kreuzberg.PostProcessorConfig(enabled=False),
    concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
)
_TRAILING_CELLS = re.compile(r"[ \t]+$", re.MULTILINE)
_EMPTY_CELLS = re.compile(r"[ \t]{2,}")
_MANY_BREAKS = re.compile(r"\n{3,}")
_PLACE_OF_PICTURE = re.compile(r"^\[Image(?:: ?(?:image)?)?\]$|^\[Image: ?(.*)\]$", re.MULTILINE)
"""What kreuzberg writes where a picture is; what describes the picture is kept."""
_MARGIN = re.compile(r"word/(header|footer)\d*\.xml")


def extract(source: Source) -> Extraction:
    """The text of a document that knows no pages until somebody lays it out."""
    return Extraction(pages=[_text(source)])


def extract_package(source: Source) -> Extraction:
    """The same for a format that is a zip container."""
    container.check(source)
    return extract(source)


def extract_word(source: Source) -> Extraction:
    """The text of a Word document between what stands at the head and at the foot of its pages."""
    found = extract_package(source)
    around: dict[str, dict[str, None]] = {"header": {}, "footer": {}}
    with opened(source.path) as package:
        for name in sorted(package.names):
            if (margin := _MARGIN.fullmatch(name)) and any(map(str.isalpha, text := paragraphs(package.xml(name)))):
                around[margin[1]][text] = None
    return Extraction(pages=["\n\n".join(filter(None, (*around["header"], *found.pages, *around["footer"])))])


def extract_workbook(source: Source) -> Extraction:
    """The cells of each sheet below its name, row by row."""
    container.check(source)
    text = _EMPTY_CELLS.sub(" ", _TRAILING_CELLS.sub("", _text(source)))
    return Extraction(pages=[_MANY_BREAKS.sub("\n\n", text)])


def _text(source: Source) -> str:
    try:
        text = kreuzberg.extract_file_sync(source.path, source.media_type, config=_CONFIG).content
    except kreuzberg.MissingDependencyError:
        raise Unreadable("unsupported", f"There is no reader for {source.media_type}.") from None
    except kreuzberg.KreuzbergError as error:
        raise _unreadable(str(error)) from None
    except (ValueError, RuntimeError) as error:  # what its bindings raise where the message is all there is
        raise _unreadable(str(error)) from None
    if "[Image" not in text:
        return text
    return _MANY_BREAKS.sub("\n\n", _PLACE_OF_PICTURE.sub(lambda found: found[1] or "", text)).strip()


def _unreadable(message: str) -> Unreadable:
    words = message.lower()
    reason = message.removeprefix("ParsingError: ").removeprefix("Failed to parse Excel file: ")[:300].rstrip(".")
    if "password" in words or "encrypt" in words:
        return Unreadable("encrypted", "The document is protected by a password.")
    if "zip bomb" in words or "exceed" in words or "too large" in words:
        return Unreadable("limit", f"The document is larger inside than is allowed: {reason}.")
    return Unreadable("corrupt", f"The document cannot be read; it is probably damaged ({reason}).")
