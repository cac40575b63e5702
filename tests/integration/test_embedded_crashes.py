"""taskflow_embedded when something is killed: no acknowledged write is lost, the next start needs no help."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

from support.embedded import Dev, dev, processes, remember, remembered, short_directory, wait_until
from taskflow_embedded import DataDirectory, PostgresServer, ServerError, ValkeyServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
USERS = [None, pytest.param("nobody", marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can"))]


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as path:
        yield path


def starts_again_with(words: list[str], directory: Path, user: str | None = None) -> None:
    with dev(directory, user=user) as run:
        assert "error" not in run.state, run.state
        print(f"\nstart after the crash: {run.state['seconds']:.2f} s")  # noqa: T201
        assert remembered(run.state["postgres"], run.state["valkey"]) == [words] * 2
    assert processes(directory) == []


def crashed(directory: Path, *options: str, user: str | None = None) -> Dev:
    """A run with something to lose; it is the caller who kills it."""
    run = Dev(directory, *options, user=user)
    assert "error" not in run.state, run.state
    remember(run.state["postgres"], run.state["valkey"], "kept")
    return run


def commands(directory: Path) -> dict[int, bytes]:
    found = {}
    for pid in processes(directory):
        with suppress(OSError):
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes()
    return found


def computing(directory: Path) -> bool:
    """Whether a backend has been at a statement for so long that it looks at nothing else."""
    ticks = 0.5 * os.sysconf("SC_CLK_TCK")
    for pid, command in commands(directory).items():
        with suppress(OSError):
            used = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])
            if b"[local] SELECT" in command and used > ticks:
                return True
    return False


def launchers(directory: Path) -> list[int]:
    return [pid for pid, command in commands(directory).items() if b"_launch.py" in command]


@pytest.mark.parametrize("user", USERS)
def test_everything_killed(user: str | None) -> None:
    with short_directory(user) as base:
        run = crashed(base / "data", user=user)
        run.kill(*processes(base / "data"))
        starts_again_with(["kept"], base / "data", user)


@pytest.mark.parametrize("user", USERS)
def test_only_the_parent_killed_and_started_again_at_once(user: str | None) -> None:
    with short_directory(user) as base:
        run = crashed(base / "data", user=user)
        run.kill()
        starts_again_with(["kept"], base / "data", user)


def test_only_the_parent_killed_ends_the_servers_in_good_order(directory: Path) -> None:
    run = crashed(directory / "data", "patient")
    run.kill()
    wait_until(lambda: not processes(directory))
    assert "database system is shut down" in (directory / "data/postgres/postgresql.log").read_text()
    assert "bye bye" in (directory / "data/valkey/valkey.log").read_text()
    assert DataDirectory.running(directory / "data") is None


def test_a_forked_child_of_the_killed_parent_keeps_nothing_alive(directory: Path) -> None:
    run = crashed(directory / "data", "fork")
    assert run.process.stdout is not None
    child = int(run.process.stdout.readline())
    assert remembered(run.state["postgres"], run.state["valkey"]) == [["kept"]] * 2, "a child stopped them"
    run.kill()
    try:
        with dev(directory / "data") as again:
            assert remembered(again.state["postgres"], again.state["valkey"]) == [["kept"]] * 2
        assert processes(directory) == [child]
    finally:
        os.kill(child, signal.SIGKILL)


def test_launchers_killed_too(directory: Path) -> None:
    run = crashed(directory / "data")
    killed = launchers(directory)
    assert len(killed) == 2
    run.kill(*killed)
    wait_until(lambda: not processes(directory))
    starts_again_with(["kept"], directory / "data")


def test_a_leftover_that_does_not_react_is_ended(directory: Path) -> None:
    run = crashed(directory / "data")
    for pid in run.state["servers"]:
        os.kill(pid, signal.SIGSTOP)
    run.kill(*launchers(directory))
    starts_again_with(["kept"], directory / "data")


def test_a_backend_that_does_not_notice_is_ended(directory: Path) -> None:
    def compute(url: str) -> None:
        long = "SELECT sum(sqrt(a * b)) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
        with suppress(psycopg.OperationalError), closing(psycopg.connect(url, autocommit=True)) as connection:
            connection.execute(long)

    run = crashed(directory / "data")
    with ThreadPoolExecutor() as pool:
        pool.submit(compute, run.state["postgres"])
        wait_until(lambda: computing(directory))
        # Else it may learn of its launcher's end before it is killed, and send its backends home.
        for pid in run.state["servers"]:
            os.kill(pid, signal.SIGSTOP)
        run.kill(*launchers(directory), *run.state["servers"])
        time.sleep(0.5)
        assert computing(directory), "nothing was left to be ended"
        starts_again_with(["kept"], directory / "data")


def test_a_server_that_does_not_react_is_stopped_in_time(directory: Path) -> None:
    server = PostgresServer(directory)
    server.start()
    os.kill(server.pid, signal.SIGSTOP)
    begin = time.monotonic()
    server.stop()
    # It would never end by itself.
    assert time.monotonic() - begin < 60
    assert processes(directory) == []


def test_stale_process_ids_are_somebody_elses_by_now(directory: Path) -> None:
    server = PostgresServer(directory, durable=False)
    server.start()
    pid = (directory / "data/postmaster.pid").read_text().split("\n", 1)[1]
    server.kill()
    with subprocess.Popen(["sleep", "600"]) as innocent:
        try:
            (directory / "data/postmaster.pid").write_text(f"{innocent.pid}\n{pid}")
            (directory / ".s.PGSQL.5432.lock").write_text(f"{innocent.pid}\n{pid}")
            (directory / "server.lock").write_text(f"{innocent.pid}\n")
            with server:
                assert server.running()
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_a_server_started_by_hand_is_left_alone(directory: Path) -> None:
    server = PostgresServer(directory, durable=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        # As if the file that tells our own servers were another: this one is now nobody's.
        patch.setattr(PostgresServer, "_process_lock", directory / "other.lock")
        (directory / "lock").rename(directory / "lock.of.first")
        with pytest.raises(ServerError, match=f"process {server.pid}, started by other means"):
            PostgresServer(directory, durable=False).start()
    assert server.running()
    server.stop()


def test_files_of_process_ids_that_hold_no_number_stop_nobody(directory: Path) -> None:
    server = PostgresServer(directory, durable=False)
    for content in ("", "\n", "\0" * 8, "no number\n", "-1\n", "99999999999999999999\n"):
        with server:
            assert server.running()
        (directory / "data/postmaster.pid").write_text(content)
        (directory / "server.lock").write_text(content)
    with server:
        (directory / "data/postmaster.pid").write_text("")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PostgresServer, "_process_lock", directory / "other.lock")
            (directory / "lock").rename(directory / "lock.of.first")
            with pytest.raises(ServerError, match="started by other means"):
                PostgresServer(directory, durable=False).start()


def test_the_first_start_killed_half_way(directory: Path) -> None:
    server = directory / "p"
    code = "import sys; from pathlib import Path; from taskflow_embedded import PostgresServer; "
    code += "PostgresServer(Path(sys.argv[1])).start()"
    for seconds in (0.2, 0.4, 0.6):
        with suppress(subprocess.TimeoutExpired):
            subprocess.run([sys.executable, "-c", code, str(server)], timeout=seconds, check=False)
    # What the last left is ending; and on a slow machine none of them got as far as to make a directory.
    wait_until(lambda: not processes(directory))
    server.mkdir(mode=0o700, exist_ok=True)
    (server / "data.new").mkdir(exist_ok=True)
    (server / "data.new/PG_VERSION").write_text("18\n")
    with PostgresServer(server, durable=False) as postgres:
        assert postgres.running()


def test_short_socket_directories_of_a_killed_run_are_removed(directory: Path) -> None:
    (directory / "tmp").mkdir()
    data = directory / ("long" * 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(directory / "tmp"))
        patch.setattr("tempfile.tempdir", str(directory / "tmp"))
        code = "import os, sys; from pathlib import Path; from taskflow_embedded import *; "
        code += "ValkeyServer(Path(sys.argv[1])).start(); os.kill(os.getpid(), 9)"
        subprocess.run([sys.executable, "-c", code, str(data)], check=False, timeout=90)
        assert len(list((directory / "tmp").iterdir())) == 1
        with ValkeyServer(data) as server:
            assert [path.name for path in (directory / "tmp").iterdir()] == [Path(server.url[7:]).parent.name]
    assert list((directory / "tmp").iterdir()) == []
