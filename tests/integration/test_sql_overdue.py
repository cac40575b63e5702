"""What PostgreSQL alone has of overdue notices: a migration's marks, the index of what was not told of."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from support.samples import new_id
from support.work import until
from taskflow_core.use_cases.tasks.notify_overdue import TOLD_KEPT
from taskflow_sqlalchemy.ledger_statements import REARM, TELL_OVERDUE

Database = psycopg.Connection[Any]


@pytest.fixture
def tasks(database: Database) -> list[UUID]:
    """Ten that were overdue before the ledger existed, as migration 0004 marks them."""
    database.execute(
        "INSERT INTO users (id, email, name, password_hash, role, active, created_at, updated_at, version)"
        " VALUES (gen_random_uuid(), 'a@b', 'A', 'hash', 'user', true, now(), now(), 1)"
    )
    rows = database.execute(
        "INSERT INTO tasks (id, user_id, title, status, priority, due_date, notified_due_date, created_at,"
        " updated_at, version) SELECT gen_random_uuid(), users.id, 'A task', 'PENDING', 1, day, day, now(),"
        " now(), 1 FROM users, generate_series(now() - interval '9 days', now(), '1 day') AS past(day)"
        " RETURNING id"
    )
    return [id for (id,) in rows]


def tell(database: Database) -> int:
    given = {"ids": [new_id() for _ in range(100)], "max_tries": 16, "kept": TOLD_KEPT}
    return len(database.execute(TELL_OVERDUE, given).fetchall())


def move(database: Database, by: str) -> None:
    database.execute("UPDATE tasks SET due_date = due_date + %s::interval", [by])


def test_what_the_migration_marked_stays_told_of(database: Database, tasks: list[UUID]) -> None:
    assert tell(database) == 0
    move(database, "-1 hour")
    assert tell(database) == len(tasks)
    for by in ("1 hour", "-1 hour", "1 hour"):
        move(database, by)
        assert tell(database) == 0


def test_of_a_task_that_is_told_of_once_no_array_is_kept(database: Database, tasks: list[UUID]) -> None:
    arrays = "SELECT count(told_due_dates), max(cardinality(told_due_dates)) FROM tasks"
    assert database.execute(arrays).fetchone() == (0, None)
    for _ in range(3):
        move(database, "-1 hour")
        tell(database)
        move(database, "1 hour")
        tell(database)
        move(database, "-1 hour")
    assert database.execute(arrays).fetchone() == (len(tasks), 3)
    database.execute("UPDATE tasks SET told_due_dates = ARRAY[due_date]")
    for id, due_date in database.execute("SELECT id, due_date FROM tasks").fetchall():
        database.execute(REARM, {"id": id, "due_date": due_date})
    assert database.execute(arrays).fetchone() == (0, None)


def test_what_was_told_of_is_not_in_the_scans_index(database: Database, tasks: list[UUID]) -> None:
    move(database, "-1 hour")
    assert tell(database) == len(tasks)
    move(database, "1 hour")
    indexed = "SELECT reltuples::int FROM pg_class WHERE relname = 'tasks_overdue_idx'"

    def is_empty() -> bool:
        # Again, where autovacuum happens to look at something: what it may still see is not removed.
        database.execute("VACUUM ANALYZE tasks")
        return database.execute(indexed).fetchone() == (0,)

    asyncio.run(until(is_empty))
    database.execute("SET enable_seqscan = off")
    plan = database.execute(
        "EXPLAIN " + TELL_OVERDUE, {"ids": [new_id()], "max_tries": 16, "kept": 2}
    ).fetchall()
    assert any("tasks_overdue_idx" in line for (line,) in plan)
