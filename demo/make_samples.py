"""Writes the sample documents of the demo into a folder: `python -m demo.make_samples DIR`."""

import sys
from pathlib import Path

from demo import mail, markup, office, pdf, scan
from demo.catalog import SAMPLES, Sample

TEXTS = Path(__file__).parent / "texts"


def make_samples(directory: Path) -> list[Path]:
    """Write every sample of the catalog into `directory`, made if missing, and return the paths in catalog order.

    The bytes are the same on every run with the same versions of the libraries that write them.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for sample in SAMPLES:
        path = directory / sample.name
        path.write_bytes(render(sample))
        paths.append(path)
    return paths


def render(sample: Sample) -> bytes:
    """The bytes of one sample, in the format that its name ends in."""
    source = (TEXTS / sample.source).read_text(encoding="utf-8")
    match Path(sample.name).suffix:
        case ".pdf":
            return pdf.pdf(source, sample.title)
        case ".docx":
            return office.docx(source, sample.title)
        case ".xlsx":
            return office.xlsx(source, sample.title)
        case ".pptx":
            return office.pptx(source, sample.title)
        case ".html":
            return markup.html(source, sample.title, sample.language)
        case ".epub":
            return markup.epub(source, sample.title, sample.language)
        case ".odt":
            return markup.odt(source, sample.title)
        case ".rtf":
            return markup.rtf(source, sample.title)
        case ".eml":
            return mail.eml(source)
        case ".png":
            return scan.scan(source, "PNG")
        case ".jpg":
            return scan.scan(source, "JPEG")
        case ".md" | ".txt" | ".csv" | ".json":
            return source.encode()
        case suffix:
            raise ValueError(f"no sample is written as {suffix}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m demo.make_samples DIR")
    for written in make_samples(Path(sys.argv[1])):
        sys.stdout.write(f"{written}\n")
