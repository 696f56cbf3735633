"""Makes any Python string safe for a tokenizer."""

# Chunks are near 1,000 characters; this bounds the work that one hostile or mistaken text can cause (about 5 ms).
MAX_CHARS = 16_384


def readable(text: str) -> str:
    """Returns at most `MAX_CHARS` characters of valid Unicode without NUL or outer blanks; "" if nothing is left.

    A lone surrogate, which has no UTF-8 form and which tokenizers and JSON refuse, becomes a question mark.
    """
    return text[:MAX_CHARS].replace("\0", " ").encode("utf-8", "replace").decode("utf-8").strip()
