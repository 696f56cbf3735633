"""Vectors of length 1."""

import numpy as np
import pytest

from quire_models.vectors import blank, unit_rows


def test_rows_keep_their_direction_and_get_length_one() -> None:
    assert unit_rows(np.array([[3, 4], [0, -2]], np.float32)).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)],
        [0, -1],
    ]


def test_a_row_of_zeros_becomes_the_blank_vector() -> None:
    assert unit_rows(np.zeros((2, 3), np.float32)).tolist() == [[1, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("magnitude", [1e-44, 1e-25, 1e25, 3e38])
def test_a_row_whose_squares_do_not_fit_float32_still_gets_length_one(magnitude: float) -> None:
    [row] = unit_rows(np.full((1, 4), magnitude, np.float32))
    assert row.tolist() == [0.5] * 4


def test_the_blank_vector_survives_half_precision() -> None:
    assert (blank(256).astype(np.float16) == blank(256)).all()
    assert np.linalg.norm(blank(256)) == 1.0
