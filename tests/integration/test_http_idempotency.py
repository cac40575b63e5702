"""Requests with an `Idempotency-Key` on several instances over real servers, killed ones among them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from support.commit_wire import Place, open_commit_wire
from support.processes import Background, free_port
from support.real_api import Instance, open_instances
from support.replays import KEY, is_replay, kept
from taskflow_bootstrap.settings import Settings
from taskflow_core import Role
from taskflow_sqlalchemy import once, silence
from taskflow_sqlalchemy.ledger_statements import TAKE_KEY, WAIT_FOR_KEY

TASK = {"title": "Once", "dueDate": "2031-01-01T00:00:00Z"}
AT_ONCE = 100
Served = tuple[Background, httpx.AsyncClient]
SECRET = "a-secret-of-the-tests-0123456789-abcdefgh"
TWO_DEAD_JOBS = """
    INSERT INTO ledger
        (id, kind, payload, state, tries, max_tries, fence, run_at, created_at, finished_at)
    SELECT gen_random_uuid(), 'sample.refund', '{}', 'dead', 1, 1, 1, now(), now(), now()
    FROM generate_series(1, 2) RETURNING id
"""


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the key of another for a minute: on a busy machine those may be many, and slow."""
    monkeypatch.setattr(once, "_BEFORE", (WAIT_FOR_KEY, {"lock": "60s", "statement": "62s"}))
    monkeypatch.setattr(silence, "_SECONDS", {**silence._SECONDS, TAKE_KEY: 62.0})


@pytest.fixture
async def instances(_patient: None, database_url: str, redis_url: str) -> AsyncIterator[list[Instance]]:
    async with open_instances(database_url, redis_url, number=2) as instances:
        yield instances


async def are_waiting(database: psycopg.Connection[Any], number: int) -> None:
    """Return once so many other connections to the database wait for a lock."""
    asked = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(60):
        while (database.execute(asked).fetchone() or (0,))[0] < number:  # noqa: ASYNC110 - as below
            await asyncio.sleep(0.01)


def count(database: psycopg.Connection[Any], table: str) -> int:
    row = database.execute(f"SELECT count(*)::int FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


async def test_a_hundred_at_once_on_two_instances_make_one_task(
    instances: list[Instance], database: psycopg.Connection[Any]
) -> None:
    person = await instances[0].person()

    answers = await asyncio.gather(
        *(
            instances[number % 2].call(person, "POST", "/tasks", json=TASK, headers=KEY)
            for number in range(AT_ONCE)
        )
    )

    assert {answer.status_code for answer in answers} == {201}
    assert (
        len({(answer.content, answer.headers["location"], answer.headers["etag"]) for answer in answers}) == 1
    )
    assert Counter(map(is_replay, answers)) == {True: AT_ONCE - 1, False: 1}
    assert [count(database, table) for table in ("tasks", "task_history", "idempotency_keys")] == [1, 1, 1]


async def test_of_two_bodies_at_once_one_is_done(
    instances: list[Instance], database: psycopg.Connection[Any]
) -> None:
    person = await instances[0].person()

    answers = await asyncio.gather(
        *(
            instances[number // 2 % 2].call(
                person, "POST", "/tasks", json={"title": str(number % 2)}, headers=KEY
            )
            for number in range(AT_ONCE)
        )
    )

    assert Counter(answer.status_code for answer in answers) == {201: AT_ONCE / 2, 422: AT_ONCE / 2}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert {a.json()["code"] for a in answers if a.status_code == 422} == {"idempotency_key_reused"}
    assert count(database, "tasks") == 1


async def test_a_batch_of_a_thousand_is_done_once(
    instances: list[Instance], database: psycopg.Connection[Any]
) -> None:
    person = await instances[0].person()
    made = database.execute(
        "INSERT INTO tasks (id, user_id, title, status, priority, created_at, updated_at, version) "
        "SELECT gen_random_uuid(), %s, 't', 'PENDING', 0, now(), now(), 1 FROM generate_series(1, 1000) "
        "RETURNING id",
        [person.view.id],
    ).fetchall()
    ids = [str(id) for (id,) in made]
    body = {"action": "update", "tasks": ids, "set": {"priority": "HIGH"}}

    answers = await asyncio.gather(
        *(
            instances[number % 2].call(person, "POST", "/tasks/batch", json=body, headers=KEY)
            for number in range(6)
        )
    )
    again = await instances[1].call(person, "POST", "/tasks/batch", json=body, headers=KEY)

    assert answers[0].json()["succeeded"] == 1000
    assert [result["id"] for result in again.json()["results"]] == ids
    assert len({(answer.status_code, answer.content) for answer in (*answers, again)}) == 1
    assert is_replay(again)
    assert database.execute("SELECT DISTINCT version FROM tasks").fetchall() == [(2,)]
    assert count(database, "task_history") == 1000


async def test_every_route_that_takes_a_key(
    instances: list[Instance], database: psycopg.Connection[Any]
) -> None:
    admin = await instances[0].person(Role.ADMIN)
    gone = (await instances[0].task(admin))["id"]
    await instances[0].call(admin, "DELETE", f"/tasks/{gone}")
    jobs = [str(id) for (id,) in database.execute(TWO_DEAD_JOBS).fetchall()]
    user = {"email": "ada@example.com", "name": "Ada", "password": "correct horse battery staple"}
    requests: list[tuple[str, Any]] = [
        ("/tasks", TASK), ("/users", user), (f"/tasks/{gone}/restore", None),
        (f"/jobs/{jobs[0]}/retry", None), ("/jobs/dead/retry", {"kind": "sample.refund"}),
        ("/tasks/batch", {"action": "delete", "mode": "partial", "tasks": [gone, jobs[0]]}),
    ]  # fmt: skip

    for path, body in requests:
        key = {"Idempotency-Key": path}
        first, again = [await api.call(admin, "POST", path, json=body, headers=key) for api in instances]
        assert first.is_success, first.text
        assert (is_replay(first), is_replay(again)) == (False, True)
        assert kept(first) == kept(again)

    assert count(database, "idempotency_keys") == len(requests)


async def test_one_that_takes_long_is_waited_for_and_then_a_conflict(
    database_url: str, redis_url: str, database: psycopg.Connection[Any]
) -> None:
    async with open_instances(database_url, redis_url, number=2) as instances:
        person = await instances[0].person()
        with database.transaction():
            database.execute("LOCK TABLE tasks IN EXCLUSIVE MODE")
            first = asyncio.create_task(instances[0].call(person, "POST", "/tasks", json=TASK, headers=KEY))
            await are_waiting(database, 1)
            second = await instances[1].call(person, "POST", "/tasks", json=TASK, headers=KEY)
        answered = await first
        third = await instances[1].call(person, "POST", "/tasks", json=TASK, headers=KEY)

    assert (second.status_code, second.json()["code"]) == (409, "request_in_progress")
    assert answered.status_code == 201
    assert kept(third) == kept(answered)
    assert count(database, "tasks") == 1


@pytest.fixture
async def instances_of_a_secret(
    _patient: None, database_url: str, redis_url: str
) -> AsyncIterator[list[Instance]]:
    async with open_instances(database_url, redis_url, number=2, jwt_secret=(SECRET,)) as instances:
        yield instances


@asynccontextmanager
async def serving(directory: Path, settings: Settings, database_url: str) -> AsyncIterator[Served]:
    """Run an instance as a process of its own; it is killed in the end, if it was not before."""
    port = free_port()
    env = {
        "TASKFLOW_DATABASE_URL": database_url,
        "TASKFLOW_REDIS_URL": settings.redis_url,
        "TASKFLOW_JWT_SECRET": SECRET,
        "TASKFLOW_STATEMENT_TIMEOUT": "60",
        "TASKFLOW_REQUEST_TIMEOUT": "90",
        "TASKFLOW_REFRESH_GRACE": "120",
    }
    process = Background.start("serve", "--port", port, cwd=directory, env=env)
    try:
        await asyncio.to_thread(process.wait_for, "TaskFlow answers at")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=90) as client:
            yield process, client
    finally:
        process.kill()


@pytest.mark.parametrize("place", ["before", "after"])
async def test_an_instance_is_killed_around_the_commit(
    instances_of_a_secret: list[Instance], database: psycopg.Connection[Any], tmp_path: Path, place: Place
) -> None:
    api, other = instances_of_a_secret
    person, settings = await api.person(), api.container.settings()
    async with (
        open_commit_wire(settings.database_url) as wire,
        serving(tmp_path, settings, wire.url) as (process, client),
    ):
        headers = person.headers | KEY
        assert (await client.get("/users/me", headers=headers)).status_code == 200
        wire.stop_at_commit(place)
        doomed = [client.post("/tasks", json=TASK, headers=headers) for _ in range(AT_ONCE // 2)]
        lost = asyncio.gather(*doomed, return_exceptions=True)
        async with asyncio.timeout(60):
            await wire.reached.wait()
            while count(database, "tasks") < (place == "after"):  # noqa: ASYNC110 - PostgreSQL sets no event
                await asyncio.sleep(0.01)
        waiting = asyncio.gather(
            *(other.call(person, "POST", "/tasks", json=TASK, headers=KEY) for _ in range(AT_ONCE // 2))
        )
        if place == "before":
            # Some of them for sure: fewer than a pool has may be the doomed's.
            await are_waiting(database, settings.database_pool_size)
        process.kill()
        assert all(isinstance(end, httpx.TransportError) for end in await lost)

    again = [await api.call(person, "POST", "/tasks", json=TASK, headers=KEY) for _ in doomed]
    answers = [*await waiting, *again]

    assert {answer.status_code for answer in answers} == {201}
    assert len({(a.content, a.headers["location"], a.headers["etag"]) for a in answers}) == 1
    # Where PostgreSQL had the COMMIT, nobody but the dead did it; else one of those who waited.
    assert Counter(map(is_replay, answers))[False] == (0 if place == "after" else 1)
    rows = database.execute("SELECT id::text FROM tasks").fetchall()
    assert rows == [(answers[0].json()["id"],)]
    assert count(database, "task_history") == 1
