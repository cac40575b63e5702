"""100,000 tasks fall due in one minute: all are told of, and nobody who writes is stopped."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import Any

from benchmarks.faults.calling import Api
from benchmarks.faults.records import Attempt
from benchmarks.jobs.stage import Answered, Figure, Stage, at_rate, percentile, refused, staged

TASKS = 100_000
OWNERS = 100
MINUTE = 60.0
LEAD = 45.0
"""Seconds until the first is due, for filling and for the time before."""
RATE = 40.0
"""Changes a second."""
STATEMENT = 100.0
"""Milliseconds that none may take."""
_FILL = """
WITH made AS (
  INSERT INTO tasks (id, user_id, title, status, priority, due_date, created_at, updated_at, version)
  SELECT gen_random_uuid(), owners[1 + n %% cardinality(owners)], 'Task ' || n, 'PENDING', 1,
         %s::timestamptz + %s * n / %s * interval '1 second', now(), now(), 1
  FROM generate_series(1, %s) AS n, (SELECT array_agg(id) AS owners FROM users WHERE email ~ '^user') AS u
  RETURNING id, user_id, due_date
)
INSERT INTO task_history (task_id, version, id, at, actor_id, action, changes)
SELECT id, 1, gen_random_uuid(), now(), user_id, 'created', '{}' FROM made
"""
_PROGRESS = """
SELECT (SELECT count(*) FROM tasks WHERE notified_due_date = due_date),
       (SELECT count(*) FROM ledger WHERE kind = 'task.overdue' AND state = 'done')
"""
_SLOWEST = """
SELECT max_exec_time, mean_exec_time, calls, left(regexp_replace(query, '\\s+', ' ', 'g'), 90)
FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat%' AND query !~ '^(VACUUM|CHECKPOINT|SELECT \\(SELECT)'
ORDER BY max_exec_time DESC LIMIT 4
"""
_ONCE = """
SELECT count(DISTINCT (subject, payload->>'due_date')), count(*) FROM ledger WHERE kind = 'task.overdue'
"""


async def falling_due() -> list[Figure]:
    """100,000 tasks in one minute, two workers, two schedulers, changes at a steady rate."""
    async with staged(OWNERS) as stage:
        api = await stage.api()
        for number in (0, 1):
            await stage.worker(f"worker {number}")
            stage.start(f"scheduler {number}", "scheduler")
        due = time.time() + LEAD
        stage.ask(_FILL, _timestamp(due), MINUTE, TASKS, TASKS)
        stage.ask("VACUUM ANALYZE")
        tokens = {user.id: user.token for user in stage.people.users}
        sample = stage.ask("SELECT id, user_id FROM tasks ORDER BY random() LIMIT 4000")
        send = partial(_rename, api, [(id, tokens[owner]) for id, owner in sample], random.Random(1))
        stage.ask("SELECT pg_stat_statements_reset()")
        before = await at_rate(send, RATE, max(5.0, due - time.time() - 2))
        marked, told, during = await _followed(stage, send, due)
        slowest, once = stage.ask(_SLOWEST), stage.ask(_ONCE)[0]
    return [*_of_jobs(marked, told, once), *_of_statements(slowest), *_of_changes(before, during)]


async def _followed(stage: Stage, send: Any, due: float) -> tuple[float, float, list[Answered]]:
    """Return when all were marked and told, in seconds after the last was due, and the answers until then."""
    marked, during = float("inf"), list[Answered]()
    while True:
        during += await at_rate(send, RATE, 5)
        seen, done = (await asyncio.to_thread(stage.ask, _PROGRESS))[0]
        late = time.time() - due - MINUTE
        if seen >= TASKS:
            marked = min(marked, late)
        if done >= TASKS or late > 1200:
            return marked, late if done >= TASKS else float("inf"), during


async def _rename(api: Api, tasks: list[tuple[Any, str]], draw: random.Random) -> Attempt:
    id, token = draw.choice(tasks)
    return await api.call(token, "PATCH", f"/tasks/{id}", {"title": f"Changed {draw.random()}"})


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _of_jobs(marked: float, told: float, once: tuple[Any, ...]) -> list[Figure]:
    return [
        Figure(f"all {TASKS:,} had their job {max(marked, 0):.0f} s after the last was due"),
        Figure(f"all were told {told:.0f} s after it (in steps of 5 s)", met=told < float("inf")),
        Figure(f"{once[1]:,} jobs for {once[0]:,} due dates (target: as many)", met=once == (TASKS, TASKS)),
    ]


def _of_statements(slowest: list[tuple[Any, ...]]) -> list[Figure]:
    most = slowest[0][0]
    return [
        Figure(f"the slowest statement took {most:.0f} ms (target {STATEMENT:g})", met=most <= STATEMENT),
        *(
            Figure(f"  {most:.1f} ms at most, {mean:.2f} in the mean of {calls:,}: {query}")
            for most, mean, calls, query in slowest
        ),
    ]


def _of_changes(before: list[Answered], during: list[Answered]) -> list[Figure]:
    worst = max(each.seconds for each in during) * 1000
    p99 = f"p99 of changes {percentile(during, 99):.1f} ms meanwhile, {percentile(before, 99):.1f} before"
    p50 = f"p50 {percentile(during, 50):.1f} and {percentile(before, 50):.1f}"
    return [
        Figure(f"{p99}; {p50}; {worst:.0f} ms at worst"),
        Figure(f"{refused(during)} of {len(during):,} changes refused (target 0)", met=not refused(during)),
    ]
