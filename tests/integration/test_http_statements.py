"""How many statements a request costs, as PostgreSQL counts them, BEGIN and COMMIT aside."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from support.real_api import Instance, Person, open_instances
from taskflow_core import Role

KEY = 4
"""How long to wait for the key, the key itself, how long to wait for all else, and what it has."""
WHO = 1
"""Who asks, with which role now: one statement for all the requests of a moment."""
COUNT = """
    SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements s
    JOIN pg_database d ON d.oid = s.dbid
    WHERE datname = current_database() AND upper(query) NOT IN ('BEGIN', 'COMMIT', 'ROLLBACK')
      AND query NOT LIKE '%pg_stat_statements%'
"""


@dataclass
class Counted:
    """An API whose statements are counted."""

    api: Instance
    database: psycopg.Connection[Any]

    async def statements(self, person: Person, method: str, path: str, expected: int, **more: Any) -> int:
        """Send a request, and return how many statements it took."""
        self.database.execute("SELECT pg_stat_statements_reset()")
        answer = await self.api.call(person, method, path, **more)
        assert answer.status_code == expected, answer.text
        row = self.database.execute(COUNT).fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
async def counted(database_url: str, redis_url: str) -> AsyncIterator[Counted]:
    with psycopg.connect(database_url, autocommit=True) as database:
        database.execute("CREATE EXTENSION pg_stat_statements")
        database.execute("SELECT pg_stat_statements_reset()")
        async with open_instances(database_url, redis_url) as (api,):
            # Opening a pooled connection asks the server who it is, once.
            admin = await api.person(Role.ADMIN)
            await api.call(admin, "GET", "/tasks")
            yield Counted(api, database)


async def test_reads_take_one_beside_who_asks_whatever_they_return(counted: Counted) -> None:
    api = counted.api
    person, admin = await api.person(), await api.person(Role.ADMIN)
    tasks = [await api.task(person) for _ in range(30)]
    one = f"/tasks/{tasks[0]['id']}"
    assert await counted.statements(person, "GET", one, 200) == WHO + 1
    assert await counted.statements(admin, "GET", one, 200) == WHO + 1
    assert await counted.statements(person, "GET", f"{one}/history", 200) == WHO + 1
    assert await counted.statements(person, "GET", "/tasks/stats", 200) == WHO + 1
    for limit in (1, 10, 100):
        assert await counted.statements(person, "GET", f"/tasks?limit={limit}", 200) == WHO + 1
    query = "sort=-dueDate&status=PENDING&search=task&overdue=false&userId=any"
    assert await counted.statements(admin, "GET", f"/tasks?{query}", 200) == WHO + 1
    assert await counted.statements(admin, "GET", "/users?limit=2", 200) == WHO + 1
    first = (await api.call(person, "GET", "/tasks?limit=5")).json()
    assert (
        await counted.statements(person, "GET", f"/tasks?limit=5&cursor={first['nextCursor']}", 200)
        == WHO + 1
    )


async def test_writes_take_a_few(counted: Counted) -> None:
    api = counted.api
    person, manager, admin = await api.person(), await api.person(Role.MANAGER), await api.person(Role.ADMIN)
    assert await counted.statements(person, "POST", "/tasks", 201, json={"title": "t"}) == WHO + 1
    given = {"title": "t", "userId": str(person.view.id)}
    assert await counted.statements(manager, "POST", "/tasks", 201, json=given) == WHO + 1
    task = await api.task(person)
    one = f"/tasks/{task['id']}"
    change, move = {"status": "COMPLETED"}, {"userId": str(manager.view.id)}
    assert await counted.statements(person, "PATCH", one, 200, json=change) == WHO + 3
    # One more that makes the jobs for the new and the previous owner.
    assert await counted.statements(admin, "PATCH", one, 200, json=move) == WHO + 4
    assert await counted.statements(manager, "DELETE", one, 204) == WHO + 3
    assert await counted.statements(manager, "POST", f"{one}/restore", 200) == WHO + 3
    # The account with all admins, the session that asks, the time, the account, the job that purges.
    assert await counted.statements(admin, "DELETE", f"/users/{person.view.id}", 204) == WHO + 5


async def test_a_key_takes_a_few_more_whatever_it_is_for(counted: Counted) -> None:
    person = await counted.api.person()
    ids = [(await counted.api.task(person))["id"] for _ in range(20)]
    for path, body, status, without in (
        ("/tasks", {"title": "t"}, 201, WHO + 1),
        ("/tasks/batch", {"action": "complete", "tasks": ids}, 200, WHO + 3),
    ):
        key = {"Idempotency-Key": path}
        first = await counted.statements(person, "POST", path, status, json=body, headers=key)
        again = await counted.statements(person, "POST", path, status, json=body, headers=key)
        # At the end its answer.
        assert first == without + KEY + 1
        assert again == WHO + KEY


async def test_a_batch_takes_the_same_whatever_its_size(counted: Counted) -> None:
    person = await counted.api.person()
    made = [await counted.api.task(person) for _ in range(21)]
    ids = [task["id"] for task in made]
    with counted.database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tasks SELECT gen_random_uuid(), %s, 't', NULL, 'PENDING', 0, NULL, now(), now(), "
            "NULL, NULL, 1 FROM generate_series(1, 1000) RETURNING id",
            [person.view.id],
        )
        many = [str(id) for (id,) in cursor.fetchall()]
    # Descriptions come and go in steps, so that not all of them are held at once.
    for number in (25, 1000):
        body = {"action": "update", "tasks": many[:number], "set": {"description": f"of {number}"}}
        taken = await counted.statements(person, "POST", "/tasks/batch", 200, json=body)
        assert taken <= WHO + 3 + 3 * number / 25
    counts = set()
    for chosen in (ids[:1], ids[1:], many):
        body = {"action": "update", "tasks": chosen, "set": {"status": "IN_PROGRESS"}}
        counts.add(await counted.statements(person, "POST", "/tasks/batch", 200, json=body))
        body = {"action": "delete", "tasks": chosen}
        counts.add(await counted.statements(person, "POST", "/tasks/batch", 200, json=body))
    assert len(counts) == 1
    assert counts.pop() <= WHO + 6


async def test_who_asks_is_one_question_for_all_of_a_moment(counted: Counted) -> None:
    people = [await counted.api.person() for _ in range(3)]
    await asyncio.gather(*(counted.api.call(person, "GET", "/users/me") for person in people))
    counted.database.execute("SELECT pg_stat_statements_reset()")
    requests = 60
    answers = await asyncio.gather(
        *(counted.api.call(people[number % 3], "GET", "/users/me") for number in range(requests))
    )
    assert {answer.status_code for answer in answers} == {200}
    asked = (
        "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid "
        "WHERE datname = current_database() AND query LIKE '%users.data_version%sessions JOIN users%'"
    )
    row = counted.database.execute(asked).fetchone()
    assert row is not None
    assert 1 <= row[0] <= requests / 10
