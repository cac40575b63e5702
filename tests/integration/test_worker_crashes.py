"""Workers that are stopped, killed, paused or blocked, and jobs that do that to them: each effect once."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from support.pauses import lives, paused
from support.work import until
from support.workers import Row, Workers, add_job, end_leases, expire_leases, row, workers
from taskflow_core import JobState
from taskflow_sqlalchemy import SqlAlchemyTransactions

Look = Callable[[UUID], Row]
Start = Callable[..., AbstractContextManager[Workers]]


@pytest.fixture
def transactions(engine: AsyncEngine) -> SqlAlchemyTransactions:
    return SqlAlchemyTransactions(engine)


LONG = {"time_limit": 3_000, "lease": 600}
"""Neither is over in a test, unless that says so."""


@pytest.fixture
def start(database_url: str, redis_url: str, tmp_path: Path) -> Start:
    return partial(workers, database_url, redis_url, tmp_path / "log")


@pytest.fixture
def end(database: psycopg.Connection[Any]) -> Callable[..., None]:
    """Ends a lease, or all."""
    return partial(end_leases, database)


@pytest.fixture
def look(database: psycopg.Connection[Any]) -> Look:
    return lambda job_id: row(database, job_id)


def holder(running: Workers, job: UUID, verb: str = "began", times: int = 1) -> int:
    """Who said that it has the job."""
    return int(running.wait_for(f"{verb} {job}", times).rpartition(" ")[2])


async def expiring_until(transactions: SqlAlchemyTransactions, holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        await expire_leases(transactions)
        await asyncio.sleep(0.1)


async def test_asked_to_end_it_finishes_what_runs_and_begins_nothing(
    start: Start, tmp_path: Path, transactions: SqlAlchemyTransactions, look: Look
) -> None:
    gate = tmp_path / "gate"
    with start(**LONG, drain=600) as running:
        job = await add_job(transactions, "gated", payload={"gate": str(gate)})
        await asyncio.to_thread(holder, running, job)
        running.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(running.wait_for, "claims nothing more")
        late = await add_job(transactions, "ok")
        gate.touch()
        assert await asyncio.to_thread(running.process.wait, 60) == 0
    assert look(job) == Row(JobState.DONE, 1, 1, None, 1)
    assert look(late).state is JobState.PENDING


async def test_what_takes_longer_is_given_back_and_the_try_does_not_count(
    start: Start, transactions: SqlAlchemyTransactions, look: Look
) -> None:
    with start(**LONG, drain=2) as running:
        job = await add_job(transactions, "held")
        await asyncio.to_thread(holder, running, job)
        code, _ = await asyncio.to_thread(running.stop, 60)
        assert code == 0
        assert look(job) == Row(JobState.PENDING, 0, 1, None, 0)


async def test_a_job_that_kills_its_process_dies_and_takes_no_other_with_it(
    start: Start,
    transactions: SqlAlchemyTransactions,
    look: Look,
    end: Callable[..., None],
) -> None:
    with start(**LONG, processes=2) as running:
        poison = await add_job(transactions, "poison", max_tries=2)
        others = []
        for times in (1, 2):
            others += [await add_job(transactions, "ok") for _ in range(10)]
            killed = await asyncio.to_thread(holder, running, poison, "swallowed", times)
            others += [await add_job(transactions, "ok") for _ in range(10)]
            await asyncio.to_thread(running.wait_until_killed, killed)
            end(poison)
            await expire_leases(transactions)

        def are_done() -> bool:
            # Those that went down with it too: whoever has one still tries again.
            end()
            return all(look(job).state is JobState.DONE for job in others)

        await expiring_until(transactions, are_done)
        assert running.said.count(f"swallowed {poison}") == 2
        assert (await asyncio.to_thread(running.stop))[0] == 0
    dead = look(poison)
    assert (dead.state, dead.tries, dead.refunds) == (JobState.DEAD, 2, 0)
    assert dead.error == "The worker did not finish in time; it died, or it hangs."
    assert {look(job).refunds for job in others} == {1}


async def test_one_that_was_paused_past_its_lease_commits_nothing(
    start: Start,
    tmp_path: Path,
    transactions: SqlAlchemyTransactions,
    look: Look,
    end: Callable[..., None],
) -> None:
    gate = tmp_path / "gate"
    with start(**LONG, processes=2) as running:
        job = await add_job(transactions, "gated", payload={"gate": str(gate)})
        first = await asyncio.to_thread(holder, running, job)
        with paused(first):
            end(job)
            await expire_leases(transactions)
            gate.touch()
            await until(lambda: look(job).state is JobState.DONE)
            other = await asyncio.to_thread(holder, running, job, "passed")
            assert other != first
        assert await asyncio.to_thread(holder, running, job, "passed", 2) == first
        await asyncio.to_thread(running.wait_for, "job lost")
        assert look(job) == Row(JobState.DONE, 2, 2, None, 1)
        assert (await asyncio.to_thread(running.stop))[0] == 0


async def test_one_that_is_killed_leaves_its_job_to_another(
    start: Start,
    transactions: SqlAlchemyTransactions,
    look: Look,
    end: Callable[..., None],
) -> None:
    with start(**LONG, processes=2) as running:
        job = await add_job(transactions, "held")
        killed = await asyncio.to_thread(holder, running, job)
        os.kill(killed, signal.SIGKILL)
        await asyncio.to_thread(running.wait_until_killed, killed)
        end(job)
        await expire_leases(transactions)
        assert await asyncio.to_thread(holder, running, job, times=2) != killed
        await until(lambda: look(job).state is JobState.DONE)
        await until(lambda: len(running.pids()) == 3)
    assert look(job) == Row(JobState.DONE, 2, 2, None, 1)


async def test_one_whose_loop_is_blocked_is_killed_and_replaced(
    start: Start,
    transactions: SqlAlchemyTransactions,
    look: Look,
    end: Callable[..., None],
) -> None:
    # They beat each second, and a machine that is busy keeps one from that for some.
    with start(**LONG, hang=10) as running:
        job = await add_job(transactions, "block")
        blocked = await asyncio.to_thread(holder, running, job)
        await asyncio.to_thread(running.wait_for, f"Process {blocked} hangs and is killed.")
        await asyncio.to_thread(running.wait_until_killed, blocked)
        end(job)
        await expire_leases(transactions)
        await until(lambda: look(job).state is JobState.DONE)
        assert len(set(running.pids())) == 2
    assert look(job) == Row(JobState.DONE, 2, 2, None, 1)


async def test_one_that_works_for_longer_than_its_lease_keeps_it(
    start: Start,
    tmp_path: Path,
    transactions: SqlAlchemyTransactions,
    database: psycopg.Connection[Any],
    look: Look,
) -> None:
    def held_until() -> Any:
        return database.execute("SELECT lease_until FROM ledger WHERE id = %s", [job]).fetchone()

    def is_over() -> bool:
        return bool(database.execute("SELECT clock_timestamp() > %s", first).fetchone() == (True,))

    # It is renewed after a third of it.
    gate = tmp_path / "gate"
    with start(time_limit=600, lease=9) as running:
        job = await add_job(transactions, "gated", payload={"gate": str(gate)})
        await asyncio.to_thread(holder, running, job)
        first = held_until()
        await expiring_until(transactions, is_over)
        gate.touch()
        await expiring_until(transactions, lambda: look(job).state is JobState.DONE)
        assert (await asyncio.to_thread(running.stop))[0] == 0
    assert look(job) == Row(JobState.DONE, 1, 1, None, 1)


async def test_one_whose_job_swallows_its_cancellation_is_replaced_once_others_have_ended(
    start: Start,
    transactions: SqlAlchemyTransactions,
    look: Look,
    end: Callable[..., None],
) -> None:
    short = {"time_limit": 5.0, "lease": 600.0, "stuck": 0.5, "drain": 2.0}
    with start(**short) as running:
        deaf = await add_job(transactions, "deaf")
        lost = await asyncio.to_thread(holder, running, deaf)
        assert str(deaf) in await asyncio.to_thread(running.wait_for, "job stuck")
        await asyncio.to_thread(running.wait_for, f"Process {lost} ended (exit code 1) and is started again.")
        end(deaf)
        await expire_leases(transactions)
        await until(lambda: look(deaf).state is JobState.DONE)
        assert (await asyncio.to_thread(running.stop))[0] == 0
    assert look(deaf) == Row(JobState.DONE, 2, 2, None, 1)


async def test_workers_whose_watcher_is_killed_end_by_themselves(start: Start) -> None:
    with start(processes=2) as running:
        pids = running.pids()
        running.process.kill()
        running.process.wait()
        await until(lambda: not any(map(lives, pids)))
