"""`taskflow dev` as people run it: one command, real servers, and nothing left behind.

Every limit on time here is against what hangs: what is slow is not for tests to say.
"""

import json
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from support.processes import PATIENT_DOCTOR, Background, altered, free_port, processes_of, run

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")

READY = "TaskFlow is ready"
# A server that never says that it is ready: no start on it comes to an end by itself.
NEVER_READY = altered("""
from taskflow_embedded import PostgresServer
PostgresServer._is_ready = lambda self, pid: False
""")

Start = Callable[..., "Dev"]


class Dev:
    """One `taskflow dev`."""

    def __init__(self, place: Path, *args: object, env: Mapping[str, str] = {}) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.background = Background.start("dev", "--port", self.port, *args, cwd=place, env=env)
        self.background.wait_for(READY, timeout=90)

    def sign_in(self, email: str, password: str) -> httpx.Client:
        credentials = {"email": email, "password": password}
        answer = httpx.post(f"{self.url}/auth/login", json=credentials, timeout=60)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def titles(self) -> list[str]:
        with self.sign_in("user@example.com", "user123") as user:
            return [task["title"] for task in user.get("/tasks").json()["data"]]


@contextmanager
def short_directory() -> Iterator[Path]:
    """A socket's path may have some 100 characters: pytest's own directories are too deep."""
    path = Path(tempfile.mkdtemp(prefix="taskflow-dev-"))
    try:
        yield path
    finally:
        for pid in processes_of(path):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def first_start() -> Iterator[tuple[Path, str]]:
    """The data directory that a first start made and SIGTERM ended, and what that start wrote."""
    with short_directory() as place:
        dev = Dev(place)
        assert len(dev.titles()) >= 3
        assert dev.background.stop()[0] == 0
        assert processes_of(place) == {}
        yield place / ".taskflow", dev.background.output


GOLDEN = Path(__file__).with_name("dev_output.txt")


def normalised(output: str, place: Path, port: int) -> str:
    """The output with what differs from run to run put in one form."""
    text = re.sub(r"after \d+\.\d s", "after 0.0 s", output.replace(str(place), "/tmp/taskflow-dev-00000000"))
    text = text.replace(f":{port}", ":30000")
    text = re.sub(r"database to \d{4}", "database to 0000", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "2030-01-31T17:00:00.000Z", text)
    lines = text.splitlines()
    # Two workers write them.
    notices = sorted(line for line in lines if "notice" in line)
    return "\n".join([*(line for line in lines if "notice" not in line), *notices]) + "\n"


def output_at(columns: int) -> str:
    with short_directory() as place:
        dev = Dev(place, env={"COLUMNS": str(columns)})
        assert becomes(lambda: dev.background.output.count("kind=task.overdue") == 2)
        assert dev.background.stop()[0] == 0
        return f"=== {columns} columns\n{normalised(dev.background.output, place, dev.port)}"


def test_what_it_says_is_as_recorded() -> None:
    """To record it anew: delete dev_output.txt, and run this test twice."""
    recorded = "".join(map(output_at, (60, 80, 120)))
    if not GOLDEN.exists():
        GOLDEN.write_text(recorded, encoding="utf-8")
        pytest.fail(f"{GOLDEN} is recorded anew; look at it")
    assert recorded == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_whoever_lets_others_in_is_warned(start: Start, host: str) -> None:
    if host == "::" and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    dev = start("--host", host)
    dev.background.wait_for("--host 127.0.0.1")
    assert "everybody knows the demo passwords" in " ".join(dev.background.output.split())
    outside = re.findall(rf"http://(\S+):{dev.port}$", dev.background.output, re.MULTILINE)
    for address in outside:
        socket.create_connection((address.strip("[]"), dev.port), timeout=20).close()
    assert dev.background.stop()[0] == 0


@pytest.fixture
def place() -> Iterator[Path]:
    with short_directory() as path:
        yield path


@pytest.fixture
def start(place: Path, first_start: tuple[Path, str]) -> Iterator[Start]:
    """Starts `taskflow dev` in `place`, on a copy of the first start's data; ends what the test does not."""
    shutil.copytree(first_start[0], place / ".taskflow")
    started: list[Dev] = []

    def go(*args: object, env: Mapping[str, str] = {}) -> Dev:
        started.append(Dev(place, *args, env=env))
        return started[-1]

    yield go
    for dev in started:
        dev.background.kill()


def becomes(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def wait_until_gone(place: Path) -> None:
    assert becomes(lambda: processes_of(place) == {}), processes_of(place)


def kill_everything(place: Path) -> None:
    # All are stopped first: else who is left notices that others are gone, and ends in good order.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in processes_of(place):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def test_the_first_start_says_where_everything_is(first_start: tuple[Path, str]) -> None:
    data, output = first_start
    for words in ("http://127.0.0.1:", "/api", "psql", str(data), "user@example.com / user123", "dev` only"):
        assert words in output
    assert "Traceback" not in output
    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / "jwt-secret").stat().st_mode & 0o777 == 0o600
    assert (data / ".gitignore").read_text() == "*\n"


def test_everything_that_was_acknowledged_is_there_after_kill_9_of_everything(
    place: Path, start: Start
) -> None:
    first = start()
    with first.sign_in("admin@example.com", "admin123") as admin:
        assert admin.get("/users").status_code == 200
    before = first.titles()
    with first.sign_in("user@example.com", "user123") as user:
        assert user.post("/tasks", json={"title": "Acknowledged"}).status_code == 201
    kill_everything(place)
    first.background.process.wait()
    wait_until_gone(place)

    again = start()
    assert again.titles() == ["Acknowledged", *before]
    # Of the API alone: its servers notice.
    again.background.kill()
    wait_until_gone(place)


def test_ctrl_c_stops_all_of_it_with_a_client_still_connected(place: Path, start: Start) -> None:
    before = place.stat().st_mode
    dev = start()
    ready = f"{dev.url}/health/ready"
    both = {"postgresql": "up", "redis": "up"}
    # Each has a second or two for its answer.
    assert becomes(lambda: httpx.get(ready, timeout=60).json()["checks"] == both)
    with dev.sign_in("user@example.com", "user123") as open_connection:
        assert open_connection.get("/tasks").status_code == 200
        assert dev.background.stop(signal.SIGINT)[0] == 0
    assert processes_of(place) == {}
    assert place.stat().st_mode == before
    assert "Traceback" not in dev.background.output


def test_a_second_start_on_the_same_data_is_refused_and_another_directory_is_not(
    place: Path, start: Start
) -> None:
    shutil.copytree(place / ".taskflow", place / "other")
    dev = start()
    refused = run("dev", "--port", free_port(), cwd=place)
    assert refused.returncode == 11
    assert f"{place}/.taskflow is in use by the running process" in refused.stderr
    taken = run("dev", "--port", dev.port, "--data-dir", "third", cwd=place)
    assert taken.returncode == 11
    assert f"Port {dev.port}" in taken.stderr
    assert "--port" in taken.stderr
    assert "Traceback" not in refused.stderr + taken.stderr

    other = start("--data-dir", place / "other")
    with other.sign_in("user@example.com", "user123") as user:
        user.post("/tasks", json={"title": "Only here"})
    assert "Only here" in other.titles()
    assert "Only here" not in dev.titles()
    assert [each.background.stop()[0] for each in (dev, other)] == [0, 0]
    assert processes_of(place) == {}


def test_the_cli_finds_it_from_a_folder_below(place: Path, start: Start) -> None:
    dev = start()
    below = place / "some" / "folder"
    below.mkdir(parents=True)
    made = run("tasks", "create", "By the CLI", "--as", "user@example.com", "--json", cwd=below)
    assert made.returncode == 0, made.stderr
    assert dev.titles()[0] == "By the CLI"

    def is_well() -> bool:
        doctor = json.loads(run("doctor", "--json", cwd=below, program=PATIENT_DOCTOR).stdout)
        return doctor["ok"] is True and {check["level"] for check in doctor["checks"]} == {"ok"}

    # The scheduler starts when the API answers; the data say when there was one last.
    assert becomes(is_well)
    assert "there already" in run("seed", cwd=below).stdout

    dev.background.stop()
    ended = run("tasks", "list", cwd=below)
    assert ended.returncode == 10
    assert "taskflow dev" in ended.stderr


def test_a_worker_and_a_scheduler_of_ones_own_find_it(place: Path, start: Start) -> None:
    start()
    for command, ready in (("worker", "TaskFlow does jobs"), ("scheduler", "TaskFlow looks after its jobs")):
        beside = Background.start(command, cwd=place)
        try:
            beside.wait_for(ready)
            assert beside.stop()[0] == 0
        finally:
            beside.kill()


def test_who_has_a_task_that_falls_overdue_is_told_within_seconds(place: Path, start: Start) -> None:
    dev = start(env={"TASKFLOW_LOG_FORMAT": "json"})
    dev.background.wait_for("worker started")
    with dev.sign_in("user@example.com", "user123") as user:
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
        new = {"title": "Call the bank", "dueDate": due.isoformat()}
        assert user.post("/tasks", json=new).status_code == 201
        notice = json.loads(dev.background.line_with("Call the bank"))
    assert (notice["event"], notice["kind"]) == ("notice", "task.overdue")
    assert datetime.fromisoformat(notice["time"]) >= due
    assert dev.background.output.count("Call the bank") == 1
    assert dev.background.stop()[0] == 0
    assert processes_of(place) == {}


def test_a_server_that_dies_is_started_again(place: Path, start: Start) -> None:
    dev = start(env={"TASKFLOW_LOG_FORMAT": "json"})
    before = dev.titles()
    # Its children have the same command line, until each has a title of its own.
    postgres = int((place / ".taskflow/postgres/data/postmaster.pid").read_text().split()[0])
    assert "bin/postgres -D" in processes_of(place)[postgres]
    os.kill(postgres, signal.SIGKILL)
    dev.background.wait_for("PostgreSQL ended unexpectedly and was started again")
    assert dev.titles() == before
    # The worker and the scheduler got over it.
    made = json.loads(run("jobs", "sample", "--json", cwd=place).stdout)
    dev.background.wait_for(f'"job_id":"{made["id"]}"')
    assert dev.background.stop()[0] == 0


def test_it_can_be_stopped_while_it_starts(place: Path) -> None:
    starting = Background.start("dev", "--port", free_port(), cwd=place, program=NEVER_READY)
    starting.wait_for("Making a database")
    assert starting.stop()[0] == 130
    # A server that is told to end while it starts may not hear it: 4 s later it is made to.
    wait_until_gone(place)
    assert "Traceback" not in starting.output
    after = Dev(place)
    assert after.titles()
    after.background.stop()
