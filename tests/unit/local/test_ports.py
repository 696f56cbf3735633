"""Which port each listener gets."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from quire_local import ports
from quire_local.ports import PortBook, PortTaken, is_free
from quire_local.state import State


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def test_a_name_keeps_its_port_over_restarts(tmp_path: Path) -> None:
    first = PortBook(tmp_path).port("search")
    assert PortBook(tmp_path).port("search") == first


def test_names_get_different_ports(tmp_path: Path) -> None:
    book = PortBook(tmp_path)
    assert len({book.port(f"worker-{number}") for number in range(30)}) == 30


def test_a_remembered_port_that_somebody_took_is_replaced(tmp_path: Path, taken: int) -> None:
    State(tmp_path).remember_port("search", taken)
    moved = PortBook(tmp_path).port("search")
    assert moved != taken
    assert PortBook(tmp_path).port("search") == moved


def test_a_demanded_gateway_port_is_had_or_refused_with_its_holder(tmp_path: Path, taken: int) -> None:
    with pytest.raises(PortTaken, match=rf"port {taken} is taken by .* \(pid \d+\); set QUIRE_PORT"):
        PortBook(tmp_path, gateway=taken).port("gateway")
    free = PortBook(tmp_path).port("other")
    assert PortBook(tmp_path / "second", gateway=free).port("gateway") == free


def test_the_gateway_prefers_its_usual_port_and_yields_when_it_is_taken(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = PortBook(tmp_path / "scratch").port("any")
    monkeypatch.setitem(ports.PREFERRED, "gateway", free)
    assert PortBook(tmp_path / "first").port("gateway") == free
    monkeypatch.setitem(ports.PREFERRED, "gateway", taken)
    assert PortBook(tmp_path / "second").port("gateway") != taken


def test_ports_of_a_running_stack_are_answered_though_they_are_in_use(tmp_path: Path, taken: int) -> None:
    assert not is_free(taken)
    assert PortBook(tmp_path, given={"search": taken}).port("search") == taken
