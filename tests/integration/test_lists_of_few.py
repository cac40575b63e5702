"""Lists of jobs and events read what they show, however much there is of everything else."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from support.samples import NOW, OPERATOR
from taskflow_core import EventQuery, EventType, JobKind, JobQuery, JobState, NewUser, UseCases
from taskflow_sqlalchemy import SqlAlchemyLedgerReads, SqlAlchemySessionReads, SqlAlchemyTransactions

JOBS = """
INSERT INTO ledger (id, kind, payload, state, tries, max_tries, fence, run_at, created_at, finished_at)
SELECT uuidv7(make_interval(secs => n)), CASE WHEN n IN (3, 7) THEN 'rare' ELSE 'kind ' || n % 5 END, '{}',
       CASE n WHEN 2 THEN 'pending' WHEN 3 THEN 'dead' ELSE 'done' END,
       1, 3, 1, now(), now(), CASE n WHEN 2 THEN NULL ELSE now() END
FROM generate_series(1, 5000) AS n
"""
"""The rare ones are the oldest."""
DEAD = """
INSERT INTO ledger (id, kind, payload, state, tries, max_tries, fence, run_at, created_at, finished_at)
SELECT uuidv7(make_interval(secs => n)), CASE n % 2 WHEN 0 THEN 'task.overdue' ELSE 'kind 1' END, '{}',
       'dead', 3, 3, 3, now(), now(), now() - make_interval(secs => n)
FROM generate_series(1, 5000) AS n
"""
"""The younger, the longer dead."""
EVENTS = """
INSERT INTO security_events (id, user_id, type, at, detail)
SELECT uuidv7(make_interval(secs => n)), %s, CASE n WHEN 3 THEN 'role.changed' ELSE 'login.new_device' END,
       now(), '{}'
FROM generate_series(1, 8000) AS n
"""
PAGES = """
SELECT sum(shared_blks_hit + shared_blks_read)::int FROM pg_stat_statements s
JOIN pg_database d ON d.oid = s.dbid WHERE datname = current_database()
AND query ~ 'FROM (ledger|security_events)'
"""
PAGES_MAX = 60
"""The table has more than twice as many."""


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (JobQuery(kind="rare"), 2),
        (JobQuery(kind="rare", state=JobState.DONE), 1),
        (JobQuery(kind="rare", state=JobState.DEAD), 1),
        (JobQuery(kind="unknown"), 0),
        (JobQuery(kind="kind 1"), 20),
        (JobQuery(state=JobState.PENDING), 1),
        (JobQuery(state=JobState.DEAD), 1),
    ],
    ids=str,
)
async def test_a_page_costs_the_same_however_many_other_jobs_there_are(
    engine: AsyncEngine, database: psycopg.Connection[Any], query: JobQuery, found: int
) -> None:
    database.execute("CREATE EXTENSION pg_stat_statements")
    database.execute(JOBS)
    database.execute("ANALYZE ledger")
    page = await SqlAlchemyLedgerReads(engine).jobs(query, NOW)
    assert len(page.items) == found
    assert 0 < pages_read(database) < PAGES_MAX


async def retry(engine: AsyncEngine, as_of: datetime | None) -> int:
    async with SqlAlchemyTransactions(engine)() as unit:
        return len((await unit.ledger.load_dead("kind 1", as_of=as_of, limit=5))[0])


async def clean_up(engine: AsyncEngine) -> int:
    async with SqlAlchemyTransactions(engine)() as unit:
        return await unit.upkeep.remove(JobKind.CLEAN_LEDGER, limit=5)


async def look(engine: AsyncEngine) -> int:
    query = JobQuery(kind="kind 1", state=JobState.DEAD, limit=5)
    return len((await SqlAlchemyLedgerReads(engine).jobs(query, NOW)).items)


@pytest.mark.parametrize(
    ("ask", "found"),
    [
        (partial(retry, as_of=None), 5),
        (partial(retry, as_of=datetime(2001, 1, 1, tzinfo=UTC)), 0),
        (clean_up, 0),
        (look, 5),
    ],
    ids=["retry", "retry of long ago", "clean up", "list"],
)
async def test_what_is_dead_costs_the_same_however_much_of_it_there_is(
    engine: AsyncEngine,
    database: psycopg.Connection[Any],
    ask: Callable[[AsyncEngine], Awaitable[int]],
    found: int,
) -> None:
    database.execute("CREATE EXTENSION pg_stat_statements")
    database.execute(DEAD)
    database.execute("ANALYZE ledger")
    assert await ask(engine) == found
    assert 0 < pages_read(database) < PAGES_MAX


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(EventType.ROLE_CHANGED, 1), (EventType.NEW_DEVICE, 20), (EventType.REFRESH_REUSED, 0)],
)
async def test_events_of_a_type_cost_the_same_however_rare_it_is(
    engine: AsyncEngine,
    use_cases: UseCases,
    database: psycopg.Connection[Any],
    wanted: EventType,
    found: int,
) -> None:
    user = await use_cases.create_user(
        NewUser(email="ada@example.com", name="Ada", password="a long password"), OPERATOR
    )
    database.execute("CREATE EXTENSION pg_stat_statements")
    database.execute(EVENTS, [user.id])
    database.execute("ANALYZE security_events")
    reads, query = SqlAlchemySessionReads(engine), EventQuery(owner=None, type=wanted)
    page = await reads.events(query, NOW)
    assert len(page.items) == found
    if page.next is not None:
        more = await reads.events(replace(query, after=page.next), NOW)
        assert {event.type for event in more.items} == {wanted}
        assert max(event.id for event in more.items) < min(event.id for event in page.items)
    assert 0 < pages_read(database) < PAGES_MAX


def pages_read(database: psycopg.Connection[Any]) -> int:
    read = database.execute(PAGES).fetchone()
    assert read is not None
    return int(read[0])


async def test_pages_of_a_kind_go_on_where_the_last_ended(
    engine: AsyncEngine, database: psycopg.Connection[Any]
) -> None:
    database.execute(JOBS)
    reads, after, seen = SqlAlchemyLedgerReads(engine), None, []
    for _ in range(3):
        page = await reads.jobs(JobQuery(kind="kind 1", after=after, limit=400), NOW)
        seen += [job.id for job in page.items]
        after = page.next
    assert after is None
    assert len(seen) == 1000
    assert seen == sorted(set(seen), reverse=True)
