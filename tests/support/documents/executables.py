"""Programs that a file name passes off as documents."""

import struct


def elf() -> bytes:
    """The headers of a 64-bit Linux program, empty code and its section names: upload it as `report.pdf`, expect 415.

    The section names are there because content detectors look at both ends of a file, not at its first bytes only.
    """
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 0x1000, 0x1000, 0x1000)
    sections = b"\0".join(
        b".shstrtab .interp .note.gnu.build-id .gnu.hash .dynsym .dynstr .gnu.version .rela.dyn .rela.plt .init .text "
        b".fini .rodata .eh_frame .dynamic .got .data .bss .comment".split()
    )
    return header + segment + bytes(2000) + sections + bytes(300)


def shell_script() -> bytes:
    """A script with a harmless body, for a type that no catalog of documents takes under another name."""
    return b'#!/bin/sh\nset -eu\nfor name in one two three; do\n  echo "$name"\ndone\nexit 0\n'


def eicar() -> bytes:
    """The string every virus scanner agrees to call a virus; kept in two halves so that no scanner flags this file."""
    return rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
