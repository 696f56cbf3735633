import numpy as np
import pytest

from quire_contracts import Vectors
from quire_runtime.errors import Permanent
from quire_search.handlers import vector_change

from .events import embedded


def test_vectors_arrive_as_they_were_sent() -> None:
    rows = np.array([[1.5, -2], [0.25, 65504]], dtype=np.float16)
    event = embedded(rows)
    assert event.data.vectors.inline is not None
    change = vector_change(event, event.data.vectors.inline)
    np.testing.assert_array_equal([row.to_numpy() for row in change.rows], rows)
    assert change.dimensions == 2


@pytest.mark.parametrize(
    ("count", "data"),
    [(2, "AAAA"), (1, "not base64!"), (3, "AAAAAAAAAAA="), (1, "AHwAAA==")],
    ids=["half a vector", "no base64", "too few", "infinite"],
)
def test_vectors_that_are_not_what_they_say_are_refused(count: int, data: str) -> None:
    with pytest.raises(Permanent, match="corrupt"):
        vector_change(embedded([[1, 2]]), Vectors(space="s", dimensions=2, count=count, data=data))
