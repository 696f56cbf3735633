"""Rows of a delimited file as a table to typeset."""

import csv

from .blocks import Block, table

COLUMNS = 16
CELL = 160
"""Columns, and characters of a cell, that a page has room for."""

ROWS_PER_PAGE = 50
"""No page has room for as many."""

DELIMITERS = ",;\t|"


def rows(text: str, delimiter: str | None, pages: int) -> tuple[Block | None, bool]:
    """As many rows as could fill the pages, and whether there are more.

    Without a delimiter the commonest of the usual ones is taken.
    """
    limit = pages * ROWS_PER_PAGE
    head = text[:8192]
    delimiter = delimiter or max(DELIMITERS, key=head.count)
    found: list[list[str]] = []
    reader = csv.reader(text.replace("\0", "").splitlines(keepends=True), delimiter=delimiter)
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(found) == limit:
                return table(found, head=True), True
            cells = [_short(cell) for cell in row[:COLUMNS]]
            found.append([*cells[:-1], "…"] if len(row) > COLUMNS else cells)
    except csv.Error:  # a field longer than the module allows: what came before it is shown
        return (table(found, head=True) if found else None), True
    return (table(found, head=True) if found else None), False


def _short(cell: str) -> str:
    cell = " ".join(cell.split())
    return cell if len(cell) <= CELL else cell[:CELL] + "…"
