"""The disguised programs are what they are, seen by a detector of content."""

import magika
import pypdfium2  # type: ignore[import-untyped]
import pytest

from tests.support.documents import executables


def test_a_program_named_pdf_is_not_a_pdf() -> None:
    with pytest.raises(pypdfium2.PdfiumError, match="Data format"):
        pypdfium2.PdfDocument(executables.elf())


def test_the_detector_knows_programs_by_their_content() -> None:
    detector = magika.Magika()
    assert detector.identify_bytes(executables.elf()).output.label == "elf"
    assert detector.identify_bytes(executables.shell_script()).output.label == "shell"


def test_the_test_virus_has_its_agreed_length() -> None:
    assert len(executables.eicar()) == 68
