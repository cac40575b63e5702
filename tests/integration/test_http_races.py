"""Many clients at once, on two instances of the API: no deadlock, no 5xx, nothing lost, nothing half done."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from support.real_api import Instance, open_instances
from support.samples import OPERATOR
from taskflow_core import Role, UserQuery

CLIENTS = 64
SECONDS = [3, pytest.param(10, marks=pytest.mark.slow)]


@pytest.fixture
async def instances(database_url: str, redis_url: str) -> AsyncIterator[list[Instance]]:
    async with open_instances(database_url, redis_url, number=2) as instances:
        yield instances


@pytest.mark.parametrize("seconds", SECONDS)
async def test_batches_over_the_same_tasks(
    instances: list[Instance], database: psycopg.Connection[Any], seconds: int
) -> None:
    person = await instances[0].person()
    ids = [(await instances[0].task(person))["id"] for _ in range(20)]
    until = asyncio.get_running_loop().time() + seconds
    answers: Counter[int] = Counter()

    async def client(number: int) -> None:
        dice = random.Random(number)
        api = instances[number % 2]
        for status in itertools.cycle(["IN_PROGRESS", "COMPLETED", "PENDING"]):
            if asyncio.get_running_loop().time() > until:
                return
            shuffled = dice.sample(ids, k=len(ids))
            body = {"action": "update", "tasks": shuffled, "set": {"status": status}}
            answer = await api.call(person, "POST", "/tasks/batch", json=body)
            answers[answer.status_code] += 1

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    assert set(answers) == {200}, answers
    # All tasks were changed together or not at all, so each request told of twenty changes or of none.
    whole = database.execute(
        "SELECT DISTINCT count(*) FROM task_history WHERE action = 'updated' GROUP BY request_id"
    ).fetchall()
    assert whole == [(20,)]
    assert_history_adds_up(database, field="status")


def assert_history_adds_up(database: psycopg.Connection[Any], *, field: str) -> None:
    """Every version has its entry, each begins where the one before ended, and the last is what is there."""
    tasks = database.execute(f"SELECT id, version, {field}, completed_at FROM tasks").fetchall()
    assert tasks
    for id, version, value, completed_at in tasks:
        rows = database.execute(
            "SELECT version, changes->%s FROM task_history WHERE task_id = %s ORDER BY version", [field, id]
        ).fetchall()
        assert [number for number, _ in rows] == list(range(1, version + 1))
        steps = [change for _, change in rows]
        assert all(before[1] == after[0] for before, after in itertools.pairwise(steps))
        assert steps[-1][1] == value
        if field == "status":
            assert (completed_at is not None) == (value == "COMPLETED")


async def test_one_task_with_if_match_has_one_winner_a_version(
    instances: list[Instance], database: psycopg.Connection[Any]
) -> None:
    person = await instances[0].person()
    task = await instances[0].task(person, title="0")
    path = f"/tasks/{task['id']}"
    won: list[int] = []

    async def client(number: int) -> None:
        api = instances[number % 2]
        for attempt in range(8):
            etag = (await api.call(person, "GET", path)).headers["ETag"]
            answer = await api.call(
                person, "PATCH", path, json={"title": f"{number}.{attempt}"}, headers={"If-Match": etag}
            )
            assert answer.status_code in {200, 412}, answer.text
            if answer.status_code == 200:
                assert int(etag.strip('"')) + 1 == answer.json()["version"]
                won.append(answer.json()["version"])

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    assert sorted(won) == list(range(2, len(won) + 2))
    assert len(won) >= 8
    assert_history_adds_up(database, field="title")


async def test_an_account_deleted_while_batches_run_over_its_tasks(
    instances: list[Instance], database: psycopg.Connection[Any]
) -> None:
    admin, manager = await instances[0].person(Role.ADMIN), await instances[0].person(Role.MANAGER)
    victim, other = await instances[0].person(), await instances[0].person()
    doomed = [(await instances[0].task(victim))["id"] for _ in range(60)]
    kept = [(await instances[0].task(other))["id"] for _ in range(20)]
    moved = [(await instances[0].task(other))["id"] for _ in range(20)]
    gone = asyncio.Event()
    answers: Counter[int] = Counter()

    async def client(number: int) -> None:
        dice = random.Random(number)
        api = instances[number % 2]
        for status in itertools.cycle(["IN_PROGRESS", "PENDING"]):
            last = gone.is_set()
            moves = number % 8 == 0
            chosen = dice.sample(doomed, 10) + dice.sample(moved if moves else kept, 10)
            move = {"userId": str(victim.view.id)} if moves else {}
            body = {"action": "update", "mode": "partial", "tasks": chosen, "set": {"status": status} | move}
            answer = await api.call(manager, "POST", "/tasks/batch", json=body)
            answers[answer.status_code] += 1
            made = await api.call(victim, "POST", "/tasks", json={"title": "late"})
            answers[made.status_code] += 1
            if last:
                return

    async def delete() -> None:
        await asyncio.sleep(0.7)
        answer = await instances[1].call(admin, "DELETE", f"/users/{victim.view.id}")
        assert answer.status_code == 204
        gone.set()

    await asyncio.gather(delete(), *(client(number) for number in range(CLIENTS)))
    # 401: the deleted account's own creations; 422: moves to an owner that is gone.
    assert set(answers) <= {200, 201, 401, 422}, answers
    assert answers[401] > 0
    await instances[0].use_cases.purge_users(OPERATOR)
    for table, column in (("users", "id"), ("tasks", "user_id")):
        left = database.execute(
            f"SELECT count(*) FROM {table} WHERE {column} = %s", [victim.view.id]
        ).fetchone()
        assert left == (0,)
    orphans = database.execute(
        "SELECT count(*) FROM task_history h WHERE NOT EXISTS (SELECT FROM tasks WHERE id = h.task_id)"
    ).fetchone()
    assert orphans == (0,)
    assert {str(id) for (id,) in database.execute("SELECT id FROM tasks").fetchall()} >= set(kept)
    assert_history_adds_up(database, field="status")


async def test_the_last_admin_stays_whoever_demotes_whom(instances: list[Instance]) -> None:
    admins = [await instances[0].person(Role.ADMIN) for _ in range(32)]

    async def demote(number: int) -> int:
        target = admins[(number + 1) % len(admins)]
        path, body = f"/users/{target.view.id}", {"role": "user"}
        return (await instances[number % 2].call(admins[number], "PATCH", path, json=body)).status_code

    codes = Counter(await asyncio.gather(*(demote(number) for number in range(32))))
    # 404: demoted before its own turn, so that it sees nobody any more; 409: the last one.
    assert set(codes) <= {200, 404, 409}, codes
    left = await instances[0].use_cases.list_users(UserQuery(role=Role.ADMIN, limit=100), OPERATOR)
    assert len(left.items) == 32 - codes[200] >= 1
