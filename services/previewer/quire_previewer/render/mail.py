"""A mail as blocks to typeset: who, to whom, when, about what, then the text and the names of what is attached."""

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage, Message

from . import html
from .blocks import Block, Span, code, heading, paragraph, rule

HEADERS = ("From", "To", "Cc", "Date")


def blocks(raw: bytes) -> Iterator[Block]:
    """The blocks in their order; the plain text is preferred to the HTML."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    if subject := _header(message, "Subject"):
        yield heading(2, [("", subject)])
    for name in HEADERS:
        if value := _header(message, name):
            yield paragraph([("strong", f"{name}: "), ("", value)])
    yield rule()
    body = message.get_body(("plain", "html")) if isinstance(message, EmailMessage) else None
    if body is not None:
        text = _text(body)
        yield from html.blocks(text) if body.get_content_subtype() == "html" else _plain(text)
    if names := _attachments(message):
        yield rule()
        attached: list[Span] = [("strong", "Attached: "), ("", ", ".join(names))]
        yield paragraph(attached)


def _plain(text: str) -> Iterator[Block]:
    if text.strip():
        yield code(text.strip("\r\n"))


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        return raw.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:  # a charset nobody knows
        return raw.decode("utf-8", "replace")


def _header(message: Message, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except Exception:  # the standard parser raises a dozen kinds of error on malformed headers
        return ""


def _attachments(message: Message) -> list[str]:
    return [name for part in message.walk() if (name := _filename(part))]


def _filename(part: Message) -> str:
    try:
        return part.get_filename() or ""
    except Exception:  # as above
        return ""
