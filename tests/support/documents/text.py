"""Text in every encoding and markup: well-formed, damaged, and written to trip its parser."""

PANGRAM = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich; the café stays open."


def utf8(text: str = PANGRAM) -> bytes:
    """Plain text in UTF-8 without a mark."""
    return text.encode()


def utf16(text: str = PANGRAM) -> bytes:
    """Plain text in little-endian UTF-16 behind its byte-order mark, as Windows saves "Unicode"."""
    return b"\xff\xfe" + text.encode("utf-16-le")


def latin1(text: str = PANGRAM) -> bytes:
    """Plain text in ISO 8859-1: not valid UTF-8 wherever a letter has an accent."""
    return text.encode("latin-1")


def with_nuls(text: str = "before\0between\0after") -> bytes:
    """Text with NUL bytes, which PostgreSQL refuses to store in a text column."""
    return text.encode()


def with_lone_surrogates(before: str = "before", after: str = "after") -> bytes:
    """UTF-8 of half a surrogate pair between two words: some decoders let it in, and no encoder lets it out."""
    return f"{before} \ud83d {after}".encode("utf-8", "surrogatepass")


def with_bad_utf8(before: str = "before", after: str = "after") -> bytes:
    """UTF-8 with an overlong slash, a cut sequence and a byte that UTF-8 never uses between two words."""
    return before.encode() + b" \xc0\xaf \xe2\x82 \xff " + after.encode()


def long_line(size: int = 1 << 20, word: str = "lichen") -> bytes:
    """One line of `size` bytes, words but no line break: attacks whoever reads or chunks line by line."""
    unit = f"{word} ".encode()
    return (unit * (size // len(unit) + 1))[:size]


def csv() -> bytes:
    """A table whose cells hold quotes, commas and line breaks: three columns, a header and three rows."""
    return (
        b"name,remark,count\r\n"
        b'"Devlin, Mara","said ""clear"" at dusk",3\r\n'
        b'"Okafor, Ines","first line\nsecond line",5\r\n'
        b"Weber,plain,8\r\n"
    )


def markdown(title: str = "A short note", body: str = "The lamp was replaced.") -> bytes:
    """A document with front matter, headings, a list, a table, a link and a block of code."""
    return f"""---
author: Test
---
# {title}

{body}

## Details

- first item
- second item with [a link](https://example.org/lamp)

| part | count |
|---|---|
| lamp | 2 |

```python
print("code is text too")
```
""".encode()


def html(title: str = "A page", body: str = "Fish &amp; chips &ndash; caf&eacute;") -> bytes:
    """A page with a title, a heading, a paragraph with entities, a table and a list."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1><p>{body}</p><table><tr><th>part</th></tr><tr><td>lamp</td></tr></table>"
        "<ul><li>first</li><li>second</li></ul></body></html>"
    ).encode()


def html_with_script(visible: str = "Readable words", hidden: str = "stolencookie") -> bytes:
    """A page with scripts in an element, an event handler, a link and a frame.

    Attacks whoever shows it in a browser; `visible` is the text to index and `hidden` must not be found.
    """
    return (
        "<!doctype html><html><head><meta charset='utf-8'><title>Page</title>"
        f"<style>.{hidden} {{ color: red }}</style><script>fetch('/api?{hidden}')</script></head>"
        f"<body onload=\"alert('{hidden}')\"><p>{visible} &lt;not a tag&gt;</p>"
        f'<a href="javascript:{hidden}()">a link</a><iframe srcdoc="<script>{hidden}()</script>"></iframe>'
        f'<img src=x onerror="{hidden}()"></body></html>'
    ).encode()


def svg_with_script(visible: str = "Readable words", hidden: str = "stolencookie") -> bytes:
    """A drawing with a label, a script and a picture fetched from elsewhere: attacks the browser that shows it."""
    return (
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="200" height="50" '
        f'onload="{hidden}()"><script>{hidden}()</script><image href="http://192.0.2.1/{hidden}.png"/>'
        f'<text x="10" y="30">{visible}</text></svg>'
    ).encode()


def xml(text: str = "Readable words") -> bytes:
    """A small well-formed document."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<note><to>Mara</to><body>{text}</body></note>'.encode()


def billion_laughs(levels: int = 9) -> bytes:
    """Entities that each name the one below ten times: 10 ** `levels` copies of "ha" from a kilobyte.

    Attacks an XML parser that expands entities without a bound.
    """
    entities = ['<!ENTITY l0 "ha">']
    entities += [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, levels + 1)]
    return f'<?xml version="1.0"?><!DOCTYPE laugh [{"".join(entities)}]><laugh>&l{levels};</laugh>'.encode()


def xxe(target: str = "file:///etc/passwd") -> bytes:
    """An entity that stands for the content of `target`: attacks a parser that fetches what a document names."""
    return f'<?xml version="1.0"?><!DOCTYPE note [<!ENTITY x SYSTEM "{target}">]><note>before &x; after</note>'.encode()
