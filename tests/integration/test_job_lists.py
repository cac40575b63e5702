"""Lists of jobs read what they show, however much there is of everything else."""

from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from support.samples import NOW
from taskflow_core import JobQuery, JobState
from taskflow_sqlalchemy import SqlAlchemyLedgerReads

JOBS = """
INSERT INTO ledger (id, kind, payload, state, tries, max_tries, fence, run_at, created_at, finished_at)
SELECT uuidv7(make_interval(secs => n)), CASE WHEN n IN (3, 7) THEN 'rare' ELSE 'kind ' || n % 5 END, '{}',
       CASE n WHEN 2 THEN 'pending' WHEN 3 THEN 'dead' ELSE 'done' END,
       1, 3, 1, now(), now(), CASE n WHEN 2 THEN NULL ELSE now() END
FROM generate_series(1, 5000) AS n
"""
"""The rare ones are the oldest."""
PAGES = """
SELECT sum(shared_blks_hit + shared_blks_read)::int FROM pg_stat_statements s
JOIN pg_database d ON d.oid = s.dbid WHERE datname = current_database() AND query ~ 'FROM ledger'
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
    read = database.execute(PAGES).fetchone()
    assert read is not None
    assert 0 < read[0] < PAGES_MAX


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
