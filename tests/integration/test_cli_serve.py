"""`taskflow serve`: one process or several, and how they end."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from support.processes import Background, free_port

READY = "TaskFlow answers at"
SECRET = "a-secret-of-the-tests-0123456789-abcdefgh"


class Served:
    def __init__(self, cwd: Path, env: dict[str, str], *args: object) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.background = Background.start("serve", "--port", self.port, *args, cwd=cwd, env=env)
        self.background.wait_for(READY)

    def workers(self) -> set[int]:
        found = Path(f"/proc/{self.background.process.pid}/task/{self.background.process.pid}/children")
        return set(map(int, found.read_text().split()))


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "TASKFLOW_DATABASE_URL": database_url,
        "TASKFLOW_REDIS_URL": redis_url,
        "TASKFLOW_JWT_SECRET": SECRET,
        "TASKFLOW_PASSWORD_COST": "10",
        "TASKFLOW_STATEMENT_TIMEOUT": "60",
        "TASKFLOW_REQUEST_TIMEOUT": "90",
        "TASKFLOW_REFRESH_GRACE": "120",
    }


@pytest.mark.parametrize("processes", [1, 2])
def test_bound_to_every_address_it_names_no_address_that_clients_may_not_reach(
    tmp_path: Path, env: dict[str, str], processes: int
) -> None:
    port = free_port()
    command = ["serve", "--host", "0.0.0.0", "--port", port, "--processes", processes]
    background = Background.start(*command, cwd=tmp_path, env=env)
    try:
        background.wait_for(f"TaskFlow listens on port {port} of every address (0.0.0.0)")
        assert httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=10).status_code == 200
        assert "http://" not in background.output
    finally:
        background.kill()


@pytest.fixture
def one(tmp_path: Path, env: dict[str, str]) -> Iterator[Served]:
    served = Served(tmp_path, env)
    yield served
    served.background.kill()


@pytest.fixture
def three(tmp_path: Path, env: dict[str, str]) -> Iterator[Served]:
    served = Served(tmp_path, env, "--processes", 3)
    yield served
    served.background.kill()


def becomes(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def gone(pids: set[int]) -> bool:
    return becomes(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=60)


def test_it_answers_and_stops_in_order(one: Served) -> None:
    account = {"email": "ada@example.com", "name": "Ada", "password": "a long password"}
    with httpx.Client(base_url=one.url, timeout=60) as client:
        token = client.post("/auth/register", json=account).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.post("/tasks", json={"title": "x"}).status_code == 201
        # Each check of it has a second or two.
        assert becomes(lambda: client.get("/health/ready").status_code == 200)
        assert one.background.stop()[0] == 0
    assert "Traceback" not in one.background.output
    assert SECRET not in one.background.output


def test_logs_are_json_lines_where_no_one_watches(one: Served) -> None:
    get(f"{one.url}/tasks")
    one.background.stop()
    lines = [line for line in one.background.output.splitlines() if READY not in line]
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_a_request_in_flight_is_answered_before_the_end(
    one: Served, database: psycopg.Connection[Any], database_url: str
) -> None:
    account = {"email": "ada@example.com", "name": "Ada", "password": "a long password"}
    answers: list[int] = []

    def register() -> None:
        answers.append(httpx.post(f"{one.url}/auth/register", json=account, timeout=90).status_code)

    def waits() -> bool:
        asked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass"
        return database.execute(asked).fetchone() == (1,)

    def is_open() -> bool:
        with suppress(ConnectionError), socket.create_connection(("127.0.0.1", one.port), 60):
            return True
        return False

    # The statement waits for this lock, and the stop for the statement.
    with psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE users IN EXCLUSIVE MODE")
        request = threading.Thread(target=register)
        request.start()
        assert becomes(waits)
        one.background.process.send_signal(signal.SIGTERM)
        assert becomes(lambda: not is_open())
        assert one.background.process.poll() is None
    request.join()
    assert answers == [201]
    assert one.background.process.wait(60) == 0


def test_several_processes_share_the_port_and_end_together(three: Served) -> None:
    workers = three.workers()
    assert len(workers) == 3
    assert all(get(f"{three.url}/health/live").status_code == 200 for _ in range(30))
    assert three.background.stop()[0] == 0
    assert gone(workers)


def test_a_process_that_dies_is_started_again(three: Served) -> None:
    before = three.workers()
    os.kill(min(before), signal.SIGKILL)
    three.background.wait_for("is started again")
    assert becomes(lambda: len(three.workers()) == 3)
    assert len(three.workers() & before) == 2
    assert get(f"{three.url}/health/live").status_code == 200


def test_processes_whose_watcher_is_killed_end_by_themselves(three: Served) -> None:
    workers = three.workers()
    three.background.kill()
    assert gone(workers)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_port_that_is_taken_is_told(
    one: Served, tmp_path: Path, env: dict[str, str], processes: int
) -> None:
    second = Background.start("serve", "--port", one.port, "--processes", processes, cwd=tmp_path, env=env)
    assert second.process.wait(90) == 11
    assert f"Port {one.port}" in second.output
    assert "--port" in second.output
    assert "Traceback" not in second.output


def test_two_groups_do_not_share_a_port_by_accident(
    three: Served, tmp_path: Path, env: dict[str, str]
) -> None:
    second = Background.start("serve", "--port", three.port, "--processes", 2, cwd=tmp_path, env=env)
    assert second.process.wait(90) == 11


def test_without_a_database_it_starts_and_readiness_says_so(tmp_path: Path, env: dict[str, str]) -> None:
    away = {**env, "TASKFLOW_DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    served = Served(tmp_path, away)
    try:
        assert get(f"{served.url}/health/live").status_code == 200
        ready = f"{served.url}/health/ready"
        assert get(ready).status_code == 503
        # Redis has a second for its answer.
        assert becomes(lambda: get(ready).json()["checks"] == {"postgresql": "down", "redis": "up"})
        assert served.background.stop()[0] == 0
    finally:
        served.background.kill()
