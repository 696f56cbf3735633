"""Writes a sample as a mail message, its table attached as CSV."""

import csv
import io
from email.generator import BytesGenerator
from email.message import EmailMessage
from email.policy import SMTP

from demo.blocks import Table, blocks

ATTACHMENT = "Attachment: "


def eml(source: str) -> bytes:
    """`source` is headers, an empty line and the body; the table after `Attachment: NAME` becomes that file."""
    head, body = source.split("\n\n", 1)
    text, _, rest = body.partition(ATTACHMENT)
    name, table = rest.split("\n", 1)
    message = EmailMessage(policy=SMTP)
    for line in head.splitlines():
        key, value = line.split(": ", 1)
        message[key] = value
    message["Message-ID"] = "<20240226.0914@lumen-coatings.example>"
    message.set_content(text, cte="quoted-printable")
    message.add_attachment(_csv(table), subtype="csv", filename=name, cte="quoted-printable")
    message.set_boundary("=_corran-ridge-sample")
    out = io.BytesIO()
    BytesGenerator(out, policy=SMTP).flatten(message)
    return out.getvalue()


def _csv(table: str) -> str:
    out = io.StringIO()
    for block in blocks(table):
        if isinstance(block, Table):
            csv.writer(out, lineterminator="\n").writerows(block.rows)
    return out.getvalue()
