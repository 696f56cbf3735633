"""Text in pictures, by the tesseract program."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

_DEFAULT_DPI = 300


@dataclass(frozen=True, slots=True)
class Tesseract:
    """An installed tesseract: the path of the program, and the languages it is to read, as in `eng+deu`."""

    program: str
    languages: str

    def read(self, image: Image.Image) -> str:
        """The text in a grey image, line by line. Raises OSError or `subprocess.CalledProcessError` where it fails."""
        dpi = round(float(image.info.get("dpi", (_DEFAULT_DPI,))[0]))
        command = [self.program, "stdin", "stdout", "-l", self.languages, "--dpi", str(min(max(dpi, 70), 1_200))]
        portable_graymap = b"P5 %d %d 255\n" % image.size + image.tobytes()
        done = subprocess.run(command, input=portable_graymap, capture_output=True, check=True)  # noqa: S603
        return done.stdout.decode(errors="replace")


def installed(wanted: Sequence[str]) -> Tesseract | None:
    """Tesseract with those of the wanted languages that it has data for; none where either is missing."""
    program = shutil.which("tesseract")
    if program is None:
        return None
    listed = subprocess.run([program, "--list-langs"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    known = set(listed.splitlines()[1:])
    languages = "+".join(language for language in wanted if language in known)
    return Tesseract(program, languages) if languages else None
