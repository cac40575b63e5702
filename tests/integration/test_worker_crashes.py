"""Workers that are stopped, killed, paused or blocked, and jobs that do that to them: each effect once."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from support.work import until
from support.workers import Row, Workers, add_job, expire_leases, row, workers
from taskflow_core import JobState
from taskflow_sqlalchemy import SqlAlchemyTransactions

Look = Callable[[UUID], Row]


@pytest.fixture
def transactions(engine: AsyncEngine) -> SqlAlchemyTransactions:
    return SqlAlchemyTransactions(engine)


@pytest.fixture
def look(database: psycopg.Connection[Any]) -> Look:
    return lambda job_id: row(database, job_id)


def holder(running: Workers, job: UUID, verb: str = "began", times: int = 1) -> int:
    """Who said that it has the job."""
    return int(running.wait_for(f"{verb} {job}", times).rpartition(" ")[2])


async def expiring_until(transactions: SqlAlchemyTransactions, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        await expire_leases(transactions)
        await asyncio.sleep(0.1)


async def test_asked_to_end_it_finishes_what_runs_and_begins_nothing(
    database_url: str, redis_url: str, tmp_path: Path, transactions: SqlAlchemyTransactions, look: Look
) -> None:
    with workers(database_url, redis_url, tmp_path / "log") as running:
        job = await add_job(transactions, "slow", payload={"seconds": "1.0"})
        await asyncio.to_thread(holder, running, job)
        running.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        late = await add_job(transactions, "ok")
        code, seconds = await asyncio.to_thread(running.stop)
        assert (code, seconds < 9) == (0, True)
    assert look(job) == Row(JobState.DONE, 1, 1, None, 1)
    assert look(late).state is JobState.PENDING


async def test_what_takes_longer_is_given_back_and_the_try_does_not_count(
    database_url: str, redis_url: str, tmp_path: Path, transactions: SqlAlchemyTransactions, look: Look
) -> None:
    with workers(database_url, redis_url, tmp_path / "log", time_limit=60, lease=90, drain=2) as running:
        job = await add_job(transactions, "slow", payload={"seconds": "50"})
        await asyncio.to_thread(holder, running, job)
        code, seconds = await asyncio.to_thread(running.stop)
        assert (code, seconds < 9) == (0, True)
        assert look(job) == Row(JobState.PENDING, 0, 1, None, 0)


async def test_a_job_that_kills_its_process_dies_and_takes_no_other_with_it(
    database_url: str, redis_url: str, tmp_path: Path, transactions: SqlAlchemyTransactions, look: Look
) -> None:
    with workers(database_url, redis_url, tmp_path / "log", processes=2, lease=1) as running:
        poison = await add_job(transactions, "poison", max_tries=2)
        others = []
        while look(poison).state is not JobState.DEAD:
            others.append(await add_job(transactions, "ok"))
            await expire_leases(transactions)
            await asyncio.sleep(0.05)
            assert len(others) < 500, running.said
        await expiring_until(transactions, lambda: all(look(job).state is JobState.DONE for job in others))
        assert running.said.count(f"swallowed {poison}") == 2
        assert "killed by SIGKILL" in running.said
        assert await asyncio.to_thread(running.stop, 20) >= (0, 0)
    dead = look(poison)
    assert (dead.tries, dead.refunds) == (2, 0)
    assert dead.error == "The worker did not finish in time; it died, or it hangs."
    assert {look(job).refunds for job in others} == {1}


async def test_one_that_was_paused_past_its_lease_commits_nothing(
    database_url: str, redis_url: str, tmp_path: Path, transactions: SqlAlchemyTransactions, look: Look
) -> None:
    with workers(database_url, redis_url, tmp_path / "log", processes=2, lease=1) as running:
        job = await add_job(transactions, "slow", payload={"seconds": "0.4"})
        paused = await asyncio.to_thread(holder, running, job)
        os.kill(paused, signal.SIGSTOP)
        await expiring_until(transactions, lambda: look(job).state is JobState.DONE)
        other = await asyncio.to_thread(holder, running, job, "slept")
        assert other != paused
        os.kill(paused, signal.SIGCONT)
        assert await asyncio.to_thread(holder, running, job, "slept", 2) == paused
        await asyncio.to_thread(running.wait_for, "job lost")
        assert look(job) == Row(JobState.DONE, 2, 2, None, 1)
        assert (await asyncio.to_thread(running.stop))[0] == 0


async def test_one_that_is_killed_leaves_its_job_to_another(
    database_url: str, redis_url: str, tmp_path: Path, transactions: SqlAlchemyTransactions, look: Look
) -> None:
    with workers(database_url, redis_url, tmp_path / "log", processes=2, lease=1) as running:
        job = await add_job(transactions, "slow", payload={"seconds": "0.4"})
        killed = await asyncio.to_thread(holder, running, job)
        os.kill(killed, signal.SIGKILL)
        await expiring_until(transactions, lambda: look(job).state is JobState.DONE)
        assert await asyncio.to_thread(holder, running, job, "slept") != killed
        await asyncio.to_thread(running.wait_for, "ready", 4)  # two, "all ready", and the one in its place
    assert look(job) == Row(JobState.DONE, 2, 2, None, 1)


async def test_one_whose_loop_is_blocked_is_killed_and_replaced(
    database_url: str, redis_url: str, tmp_path: Path, transactions: SqlAlchemyTransactions, look: Look
) -> None:
    with workers(database_url, redis_url, tmp_path / "log", lease=1, hang=2.5) as running:
        job = await add_job(transactions, "block")
        blocked = await asyncio.to_thread(holder, running, job)
        await asyncio.to_thread(running.wait_for, f"Process {blocked} hangs and is killed.")
        await expiring_until(transactions, lambda: look(job).state is JobState.DONE)
        assert len(set(running.pids())) == 2
    assert look(job) == Row(JobState.DONE, 2, 2, None, 1)


async def test_one_that_works_for_longer_than_its_lease_keeps_it(
    database_url: str, redis_url: str, tmp_path: Path, transactions: SqlAlchemyTransactions, look: Look
) -> None:
    with workers(database_url, redis_url, tmp_path / "log", processes=2, time_limit=60, lease=3) as running:
        job = await add_job(transactions, "slow", payload={"seconds": "7"})
        await asyncio.to_thread(holder, running, job)
        await expiring_until(transactions, lambda: look(job).state is JobState.DONE)
        assert (await asyncio.to_thread(running.stop))[0] == 0
    assert look(job) == Row(JobState.DONE, 1, 1, None, 1)


async def test_one_whose_job_swallows_its_cancellation_is_replaced_once_others_have_ended(
    database_url: str, redis_url: str, tmp_path: Path, transactions: SqlAlchemyTransactions, look: Look
) -> None:
    short = {"time_limit": 4.0, "lease": 6.0, "stuck": 0.5, "drain": 2.0}
    with workers(database_url, redis_url, tmp_path / "log", **short) as running:
        deaf = await add_job(transactions, "deaf")
        lost = await asyncio.to_thread(holder, running, deaf)
        await asyncio.to_thread(running.wait_for, "job stuck")
        assert str(deaf) in running.wait_for("job stuck")
        await asyncio.to_thread(running.wait_for, f"Process {lost} ended (exit code 1) and is started again.")
        await expiring_until(transactions, lambda: look(deaf).state is JobState.DONE)
        assert (await asyncio.to_thread(running.stop))[0] == 0
    assert look(deaf) == Row(JobState.DONE, 2, 2, None, 1)


async def test_workers_whose_watcher_is_killed_end_by_themselves(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with workers(database_url, redis_url, tmp_path / "log", processes=2) as running:
        pids = running.pids()
        running.process.kill()
        running.process.wait()
        await until(lambda: not any(_lives(pid) for pid in pids), 10)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
