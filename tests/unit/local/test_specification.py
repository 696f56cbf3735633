"""The list of processes as data, settings and logs."""

import shutil
import signal
import sys
from pathlib import Path

import pytest

from quire_local import install, logs, settings, stack
from quire_local.instance import describe_exit
from quire_local.ports import PortBook
from quire_local.process import Process, Site, in_order
from quire_local.settings import Settings, SettingsError


def named(name: str, *depends_on: str) -> Process:
    return Process(name, ("true",), depends_on=depends_on)


def site(home: Path, s3: bool = False) -> Site:
    return Site(Settings(home, None, s3), PortBook(home))


def test_layers_follow_what_depends_on_what() -> None:
    layers = in_order([named("web", "job", "cache"), named("job", "db"), named("db"), named("cache")])
    assert layers == [["db", "cache"], ["job"], ["web"]]


def test_a_ring_and_an_unknown_name_are_refused() -> None:
    with pytest.raises(ValueError, match="these wait for each other: a, b"):
        in_order([named("a", "b"), named("b", "a"), named("c")])
    with pytest.raises(ValueError, match="nothing is named nobody"):
        in_order([named("a", "nobody")])


def test_every_service_waits_for_servers_and_migrations_and_finds_them_by_its_environment(tmp_path: Path) -> None:
    place = site(tmp_path)
    services = {process.name: process for process in stack.services(place)}
    assert services.keys() == {"gateway", "search", "ingest", "embedder", "enricher", "previewer"}
    for process in services.values():
        assert {"postgres", "rabbitmq", "redis", "migrate-catalog", "migrate-search"} <= set(process.depends_on)
        assert process.env["QUIRE_STORE_URL"] == (tmp_path / "objects").as_uri()
        assert process.env["QUIRE_DATABASE_URL"].endswith("/quire")
        assert process.env["QUIRE_SEARCH_URL"] == f"http://127.0.0.1:{place.ports.port('search')}"
    assert {name for name, process in services.items() if process.single} == {"gateway", "search"}


def test_with_s3_the_services_get_its_endpoint_and_wait_for_it(tmp_path: Path) -> None:
    place = site(tmp_path, s3=True)
    for process in stack.services(place):
        assert process.env["QUIRE_STORE_URL"] == "s3://quire"
        assert process.env["QUIRE_S3_ENDPOINT"] == f"http://127.0.0.1:{place.ports.port('s3')}"
        assert {"QUIRE_S3_ACCESS_KEY_ID", "QUIRE_S3_SECRET_ACCESS_KEY", "QUIRE_S3_REGION"} <= process.env.keys()
        assert "s3" in process.depends_on


def test_the_bootstrap_runs_only_where_database_or_credentials_are_missing(tmp_path: Path) -> None:
    def names() -> set[str]:
        return {process.name for process in stack.jobs(site(tmp_path))}

    assert names() == {"migrate-catalog", "migrate-search", "bootstrap"}
    (tmp_path / "credentials.env").write_text("QUIRE_URL=http://127.0.0.1:1\n")
    assert "bootstrap" in names()
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("18\n")
    assert names() == {"migrate-catalog", "migrate-search"}


def test_settings_come_from_the_environment_with_defaults(tmp_path: Path) -> None:
    assert settings.load({"QUIRE_HOME": str(tmp_path), "QUIRE_PORT": "9000", "QUIRE_STORE": "s3"}) == Settings(
        tmp_path, 9000, s3=True
    )
    plain = settings.load({})
    assert (plain.home.name, plain.port, plain.s3) == (".quire", None, False)
    assert settings.load({"QUIRE_HOME": "here"}).home == Path.cwd() / "here"


@pytest.mark.parametrize("wrong", [{"QUIRE_PORT": "http"}, {"QUIRE_PORT": "70000"}, {"QUIRE_STORE": "ftp"}])
def test_a_wrong_setting_is_named(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        settings.load(wrong)


def test_a_log_is_bounded_and_what_is_appended_afterwards_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    with path.open("a") as held:
        for generation in range(4):
            print(f"generation {generation} {'x' * 100}", file=held, flush=True)
            assert logs.rotate(path, most_bytes=50)
        print("after", file=held, flush=True)
    assert path.read_text() == "after\n"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["worker.log", "worker.log.1", "worker.log.2"]
    assert "generation 3" in (tmp_path / "worker.log.1").read_text()
    assert not logs.rotate(path, most_bytes=50)
    assert logs.tail(path) == ["after"]
    assert logs.tail(tmp_path / "none.log") == []


def test_an_exit_is_described_by_code_or_signal() -> None:
    assert describe_exit(3) == "exited with code 3"
    assert describe_exit(-signal.SIGKILL) == "killed by SIGKILL"


def test_without_any_package_manager_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "missing", lambda _: [install.RABBITMQ, install.TESSERACT])
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(sys, "platform", "linux")
    said: list[str] = []
    with pytest.raises(install.CannotInstall, match=r"missing: RabbitMQ; .*rabbitmq-server"):
        install.install(tmp_path, said.append)
    assert any("tesseract stays missing" in line for line in said)


def test_on_a_mac_the_way_is_brew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "missing", lambda _: [install.RABBITMQ, install.REDIS])
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(install.CannotInstall, match="brew install rabbitmq redis"):
        install.install(tmp_path, lambda _: None)


def test_erlang_unpacked_elsewhere_starts_from_where_it_is(tmp_path: Path) -> None:
    start = tmp_path / "bin" / "erl"
    start.parent.mkdir()
    start.write_text("    ROOTDIR=/usr/lib/erlang\nBINDIR=$ROOTDIR/bin\n")
    install._relocate_erlang(tmp_path)
    assert start.read_text() == f'    ROOTDIR="{tmp_path}"\nBINDIR=$ROOTDIR/bin\n'
