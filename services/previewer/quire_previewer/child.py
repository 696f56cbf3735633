"""What the sandboxed child is asked to do: call the pure renderer, and put its refusals in the runtime's words."""

from pathlib import Path

from PIL import Image

from quire_runtime.errors import Permanent

from .render import Refusal, render

Image.init()  # imports Pillow's formats here, once before the fork, and not in each child at its first picture

PRELOAD = ("quire_previewer.child",)
"""What the children have imported before they are forked."""

CONTENT = "content"
"""The file in the job's directory that holds the document."""


def pictures(media_type: str, pages: int, soffice: str | None = None) -> dict[str, object]:
    """Write the pictures of the document into the current directory, under the names that `render.webp` gives them.

    Returns `count` (pages of the document, or None), `thumbnail` and `pages`, each with number, width and height.
    Raises `Permanent`.
    """
    folder = Path.cwd()
    try:
        thumbnail, written, count = render(folder / CONTENT, folder, media_type, pages=pages, soffice=soffice)
    except Refusal as refusal:
        raise Permanent(refusal.reason, refusal.detail) from None
    return {"count": count, "thumbnail": thumbnail._asdict(), "pages": [picture._asdict() for picture in written]}
