"""Brings vectors to length 1 and fixes the one vector that stands for "nothing to read"."""

import numpy as np

from quire_models.space import Floats


def blank(dimensions: int) -> Floats:
    """Returns the unit vector along the first axis, shape (d,): what a text with nothing to read is given.

    A zero vector has no direction: pgvector's cosine distance to it is NaN, which PostgreSQL sorts after every number,
    and its HNSW index leaves zero vectors out. This one is at a finite distance from everything, near none in
    particular, survives float16 exactly, and is nearest to other blank texts.
    """
    vector = np.zeros(dimensions, np.float32)
    vector[0] = 1.0
    return vector


def unit_rows(rows: Floats) -> Floats:
    """Scales each row of (n, d) to length 1; a row of zeros becomes `blank`."""
    # In double precision the squares of no float32 overflow or vanish.
    wide = rows.astype(np.float64)
    lengths = np.sqrt(np.square(wide).sum(axis=1, keepdims=True))
    empty = lengths[:, 0] == 0.0
    lengths[empty] = 1.0
    units: Floats = (wide / lengths).astype(np.float32)
    units[empty] = blank(rows.shape[1])
    return units
