"""Mail: the headers people search by, the body, the names of attachments and the text of those that are text."""

from collections.abc import Iterator
from email import message_from_binary_file, policy
from email.message import EmailMessage
from itertools import islice
from typing import cast

from .encoding import decode
from .html import text_of
from .result import Extraction, Source, Unreadable

_HEADERS = ("Subject", "From", "To", "Cc", "Date")
_MAX_PARTS, _MAX_DEPTH = 1_000, 8


def extract(source: Source) -> Extraction:
    """The message as text, with the messages it forwards. Attachments in other formats are named, not opened."""
    with source.path.open("rb") as file:
        message = message_from_binary_file(file, policy=policy.default)
    if not any(name in message for name in _HEADERS):
        raise Unreadable("corrupt", "The message has none of the headers of a mail.")
    sections, left = [], source.limits.characters
    for section in islice(_sections(message), _MAX_PARTS):
        sections.append(section[:left])
        left -= len(sections[-1])
    return Extraction(pages=["\n\n".join(filter(None, sections))], cut=left <= 0 or len(sections) == _MAX_PARTS)


def _sections(message: EmailMessage, depth: int = 0) -> Iterator[str]:
    yield "\n".join(f"{name}: {_header(message, name)}" for name in _HEADERS if name in message)
    body = message.get_body(("plain", "html"))
    if body is not None:
        yield _text(cast(EmailMessage, body))
    for part in message.iter_attachments():
        if part.get_content_type() == "message/rfc822" and part.is_multipart() and depth < _MAX_DEPTH:
            yield from _sections(cast(EmailMessage, part.get_payload(0)), depth + 1)
            continue
        if name := part.get_filename():
            yield f"Attachment: {name}"
        if part.get_content_maintype() == "text":
            yield _text(part)


def _text(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    text = decode(payload, part.get_content_charset()) if isinstance(payload, bytes) else ""
    return text_of(text) if part.get_content_subtype() == "html" else text.strip()


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message[name])
    except (ValueError, LookupError, AttributeError):  # the parser of addresses and dates gives up on some
        return next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
