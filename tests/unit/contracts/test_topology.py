"""The topology's names and delays."""

import pytest

from quire_contracts import Topology, consumer_of
from quire_contracts.topology import seconds


@pytest.mark.parametrize(("delay", "value"), [("50ms", 0.05), ("1s", 1), ("10m", 600), ("2h", 7200)])
def test_a_delay_is_a_number_and_a_unit(delay: str, value: float) -> None:
    assert seconds(delay) == value


@pytest.mark.parametrize("delay", ["", "10", "s", "1.5s", "-1s", "1d", "1s "])
def test_anything_else_is_no_delay(delay: str) -> None:
    with pytest.raises(ValueError, match="is not a delay"):
        seconds(delay)


def test_a_namespace_shares_no_name_with_another() -> None:
    names = [
        {queue.name for queue in topology.queues()} | {exchange.name for exchange in topology.exchanges()}
        for topology in (Topology("one"), Topology("two"))
    ]
    assert not names[0] & names[1]


def test_a_delay_that_stands_twice_in_a_ladder_is_one_queue() -> None:
    queues = [queue.name for queue in Topology(ladder=["1s", "1s", "5s"]).queues() if ".ingest.retry." in queue.name]
    assert queues == ["quire.ingest.retry.1s", "quire.ingest.retry.5s"]


def test_a_service_without_a_row_is_an_error() -> None:
    with pytest.raises(KeyError):
        consumer_of("printer")
