"""Every fault that is over within seconds, one after the other on one stack: nothing is lost, nothing is done twice.

The same rows with more documents, and those that take longer: `make chaos`.
"""

from collections.abc import Iterator

import pytest

from tests.chaos.field import Field, field
from tests.chaos.run import ROWS, Reporter, run_row

pytestmark = [pytest.mark.xdist_group("chaos"), pytest.mark.timeout(180)]

FEW = {name: row for name, row in ROWS.items() if row.few is not None}


@pytest.fixture(scope="module")
def on() -> Iterator[Field]:
    """A stack of these tests' own, whose services reach the broker through a proxy and have failpoints."""
    with field(proxied=True) as made:
        yield made


@pytest.fixture(scope="module")
def reporter() -> Reporter:
    """Tells what is wrong once, in the test that broke it."""
    return Reporter()


@pytest.mark.parametrize("name", FEW)
def test_the_promise_is_kept_through(on: Field, reporter: Reporter, name: str) -> None:
    row = FEW[name]
    assert row.few is not None
    result = run_row(on, row, row.few, patient=False, reporter=reporter)
    assert not result.findings, "\n".join(map(str, result.findings))
    assert result.documents, "nothing was uploaded"
