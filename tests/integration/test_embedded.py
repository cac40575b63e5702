"""taskflow_embedded: starting, stopping, who may run it, where. Crashes: test_embedded_crashes.py."""

import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy import create_engine, text

from support.embedded import client_of, dev, processes, remember, remembered, short_directory, wait_until
from support.processes import free_port
from taskflow_embedded import (
    AlreadyRunning,
    DataDirectory,
    PostgresServer,
    ServerError,
    ValkeyServer,
    throwaway,
    throwaway_postgres,
    throwaway_valkey,
)
from taskflow_embedded._binaries import postgres_programs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
USERS = [None, pytest.param("nobody", marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can"))]


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as path:
        yield path


def everything_in(directory: Path) -> dict[str, tuple[int, int, int]]:
    paths = [directory, *directory.rglob("*")]
    return {str(path): (s.st_mode, s.st_mtime_ns, s.st_size) for path in paths for s in [path.lstat()]}


def test_the_address_serves_psycopg_and_sqlalchemy() -> None:
    with throwaway_postgres(settings={"shared_preload_libraries": "pg_stat_statements"}) as server:
        with psycopg.connect(server.url) as connection:
            row = connection.execute(
                "SELECT datcollate, datlocale, datlocprovider::text, pg_encoding_to_char(encoding), "
                "current_setting('shared_preload_libraries'), current_setting('fsync'), "
                "current_setting('listen_addresses') FROM pg_database WHERE datname = current_database()"
            ).fetchone()
        assert row == ("C", "C.UTF-8", "b", "UTF8", "pg_stat_statements", "off", "")
        engine = create_engine(server.url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as through_sqlalchemy:
            assert through_sqlalchemy.execute(text("SELECT 1")).scalar() == 1
        engine.dispose()


def test_a_durable_server_waits_for_the_disk(directory: Path) -> None:
    names = ("fsync", "synchronous_commit", "full_page_writes")
    with PostgresServer(directory / "p") as server, psycopg.connect(server.url) as connection:
        values = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
    assert values == [("on",)] * 3
    with ValkeyServer(directory / "v") as valkey, client_of(valkey.url) as client:
        assert client.config_get("append*")["appendonly"] == "yes"
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}


def test_valkey_takes_settings_and_an_empty_one() -> None:
    settings = {"maxmemory-policy": "allkeys-lru", "requirepass": ""}
    with throwaway_valkey(settings=settings) as server, client_of(server.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        assert client.config_get("appendonly") == {"appendonly": "no"}


@pytest.mark.parametrize("user", USERS)
def test_stops_and_starts_again_with_its_data(user: str | None) -> None:
    with short_directory(user) as base:
        directory = base / "data"
        for start in ("first", "later"):
            with dev(directory, user=user) as run:
                assert "error" not in run.state, run.state
                assert DataDirectory.running(directory) == {
                    name: run.state[name] for name in ("pid", "postgres", "valkey")
                }
                remember(run.state["postgres"], run.state["valkey"], start)
                stopping = run.stop()
            assert processes(directory) == []
            assert DataDirectory.running(directory) is None
            print(f"\n{user or 'me'}, {start} start: {run.state['seconds']:.2f} s, stop: {stopping:.2f} s")  # noqa: T201
        with dev(directory, user=user) as run:
            found = remembered(run.state["postgres"], run.state["valkey"])
            assert found == [["first", "later"]] * 2


@pytest.mark.parametrize("user", USERS)
def test_changes_no_permission_outside_and_makes_no_account(user: str | None) -> None:
    with short_directory(user) as base:
        package = postgres_programs().parents[1]
        outside = [base, *base.parents, *package.parents, package, *package.rglob("*"), Path("/etc/group")]
        before = [(p.stat().st_mode, p.stat().st_uid, p.stat().st_gid) for p in outside]
        accounts = Path("/etc/passwd").read_bytes()
        with dev(base / "data", user=user) as run:
            assert "error" not in run.state
            modes = [
                stat.S_IMODE(p.stat().st_mode)
                for p in (base / "data", base / "data/postgres", base / "data/valkey")
            ]
        assert modes == [0o700] * 3
        assert [(p.stat().st_mode, p.stat().st_uid, p.stat().st_gid) for p in outside] == before
        assert Path("/etc/passwd").read_bytes() == accounts


@pytest.mark.skipif(os.geteuid() != 0, reason="about root")
def test_root_without_user_namespaces_borrows_an_account(directory: Path) -> None:
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for namespaces in (False, True, False):
        with dev(directory / "data", namespaces=namespaces) as run:
            assert "error" not in run.state, run.state
            remember(run.state["postgres"], run.state["valkey"], str(namespaces))
            owner = (directory / "data/postgres/data").stat().st_uid
            assert (owner == 0) is namespaces
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="about root")
def test_root_leaves_the_directory_of_another_user_to_it() -> None:
    with short_directory("nobody") as base:
        (base / "data").mkdir(mode=0o700)
        os.chown(base / "data", base.stat().st_uid, base.stat().st_gid)
        with dev(base / "data") as run:
            assert "error" not in run.state, run.state
        assert {path.lstat().st_uid for path in base.rglob("*")} == {base.stat().st_uid}
        with dev(base / "data", user="nobody") as run:
            assert "error" not in run.state, run.state


def test_a_second_start_is_refused_and_touches_nothing(directory: Path) -> None:
    with PostgresServer(directory / "p") as first, ValkeyServer(directory / "v") as other:
        before = everything_in(directory / "p" / "data/base"), everything_in(directory / "v")
        files = {path.name for path in (directory / "p").iterdir()}
        for second in (PostgresServer(directory / "p"), ValkeyServer(directory / "v")):
            with pytest.raises(AlreadyRunning, match=str(os.getpid())) as refused:
                second.start()
            second.stop()
            assert refused.value.pid == os.getpid()
        assert (everything_in(directory / "p" / "data/base"), everything_in(directory / "v")) == before
        assert {path.name for path in (directory / "p").iterdir()} == files
        assert first.running()
        assert other.running()


def test_what_a_killed_run_published_is_not_shown_for_the_next(directory: Path) -> None:
    (directory / "running.json").write_text('{"url": "stale"}')
    with DataDirectory(directory) as home:
        assert DataDirectory.running(directory) is None
        home.publish({"url": "fresh"})
        assert DataDirectory.running(directory) == {"pid": os.getpid(), "url": "fresh"}
    assert DataDirectory.running(directory) is None


def test_another_process_is_refused_too(directory: Path) -> None:
    with dev(directory / "data") as run, dev(directory / "data") as second:
        assert second.state["error"].startswith(f"AlreadyRunning: {directory / 'data'} is in use")
        assert str(run.state["pid"]) in second.state["error"]


def test_two_directories_side_by_side(directory: Path) -> None:
    with dev(directory / "one") as one, dev(directory / "two") as two:
        for run, word in ((one, "one"), (two, "two")):
            remember(run.state["postgres"], run.state["valkey"], word)
        for run, word in ((one, "one"), (two, "two")):
            assert remembered(run.state["postgres"], run.state["valkey"]) == [[word]] * 2


@pytest.mark.parametrize("name", ["long" * 30, "odd a%20+é;,'\"#{}"])
def test_paths_too_long_or_too_odd_for_a_socket(directory: Path, name: str) -> None:
    (directory / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(directory / "tmp"))
        with PostgresServer(directory / name / "p") as one, ValkeyServer(directory / name / "v") as two:
            remember(one.url, two.url, name)
            short = list((directory / "tmp").iterdir())
            assert [stat.S_IMODE(path.stat().st_mode) for path in short] == [0o700] * 2
            assert remembered(one.url, two.url) == [[name]] * 2
    assert list((directory / "tmp").iterdir()) == []


def test_a_port_asks_for_the_password(directory: Path) -> None:
    ports = [free_port(), free_port()]
    with (
        PostgresServer(directory / "p", port=ports[0]) as postgres,
        ValkeyServer(directory / "v", port=ports[1]) as valkey,
    ):
        assert postgres.tcp_url is not None
        assert valkey.tcp_url is not None
        remember(postgres.url, valkey.url, "by socket")
        assert remembered(postgres.tcp_url, valkey.tcp_url) == [["by socket"]] * 2
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{ports[0]}/postgres", passfile="/dev/null")
        with (
            redis.Redis(port=ports[1], socket_timeout=60) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()
        secret = (directory / "p/password").read_text()
        for pid in processes(directory):
            # That of a connection that was closed may end at any time.
            with suppress(OSError):
                assert secret.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_setting_that_stops_the_server_is_shown_and_leaves_nothing(directory: Path) -> None:
    for kind, name in ((PostgresServer, "p"), (ValkeyServer, "v")):
        with pytest.raises(ServerError, match="nonsense"):
            kind(directory / name, settings={"nonsense": "1"}, durable=False).start()
        assert processes(directory) == []
        with kind(directory / name, durable=False) as server:
            assert server.running()


def test_data_of_another_major_version(directory: Path) -> None:
    server = PostgresServer(directory, durable=False)
    with server:
        pass
    (directory / "data/PG_VERSION").write_text("17\n")
    with pytest.raises(ServerError, match=r"made by PostgreSQL 17; PostgreSQL 18 is installed"):
        server.start()


def test_a_directory_that_others_use_is_not_made_private(directory: Path) -> None:
    (directory / "notes").touch()
    directory.chmod(0o755)
    with pytest.raises(ServerError, match="new, empty, or private"):
        ValkeyServer(directory).start()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755
    assert [path.name for path in directory.iterdir()] == ["notes"]


def test_a_server_outlives_the_thread_that_started_it(directory: Path) -> None:
    server = ValkeyServer(directory, durable=False)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    time.sleep(0.3)
    with client_of(server.url) as client:
        assert client.ping()
    server.stop()
    assert processes(directory) == []


def test_throwaway_servers_leave_nothing() -> None:
    with throwaway() as servers:
        remember_nothing = [servers.postgres, servers.valkey]
        directories = [server.directory.parent for server in remember_nothing]
        pids = [pid for path in directories for pid in processes(path)]
        for pid in pids:
            with suppress(ProcessLookupError):
                assert os.getsid(pid) != os.getsid(0), "Ctrl-C would reach them"
    assert not any(path.exists() for path in directories)
    # Whoever is its parent hears of the end of each in its own time.
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
