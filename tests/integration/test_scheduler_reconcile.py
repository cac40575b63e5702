"""The scheduler on real servers: what hints and workers left behind is picked up."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import structlog
from redis import Redis
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import EventDict

from support.databases import Databases
from support.work import until
from support.workers import add_job, all_heard, end_leases, row, workers
from taskflow_core import JobState, LedgerEntry
from taskflow_core.use_cases.ledger.reconcile import Reconcile
from taskflow_core.use_cases.ledger.run import RunJob
from taskflow_embedded import PostgresServer, throwaway_postgres
from taskflow_rq import RqQueue
from taskflow_sqlalchemy import SqlAlchemyClaims, SqlAlchemyTransactions, open_engine
from taskflow_system import SystemChance
from taskflow_worker.scheduler import run_scheduler
from taskflow_worker.worker import run_worker

LIST = "rq:queue:taskflow"


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[RqQueue]:
    queue = RqQueue(redis_url)
    yield queue
    await queue.aclose()


@pytest.fixture
def servers(database_url: str, redis_url: str) -> tuple[str, str]:
    return database_url, redis_url


@pytest.fixture
def transactions(engine: AsyncEngine) -> SqlAlchemyTransactions:
    """Without a queue: hints that are lost."""
    return SqlAlchemyTransactions(engine)


@asynccontextmanager
async def scheduling(engine: AsyncEngine, queue: RqQueue, count: int = 1) -> AsyncIterator[None]:
    scan = Reconcile(SqlAlchemyTransactions(engine, queue), queue, SystemChance(), timedelta(seconds=0.2))
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(run_scheduler({"reconcile": scan}, stop=stop, on_ready=lambda: None, every=0.1))
        yield
        stop.set()


async def test_hints_that_were_lost_are_given_again(
    engine: AsyncEngine, transactions: SqlAlchemyTransactions, queue: RqQueue, redis_url: str
) -> None:
    job = await add_job(transactions, "ok")
    with Redis.from_url(redis_url) as redis:
        async with scheduling(engine, queue, count=2):
            for _ in range(3):
                await until(lambda: redis.exists(f"rq:job:{job}") == 1)
                redis.flushall()


async def test_the_job_of_a_worker_that_was_killed_is_done_by_another(
    engine: AsyncEngine,
    transactions: SqlAlchemyTransactions,
    servers: tuple[str, str],
    database: psycopg.Connection[Any],
    tmp_path: Path,
) -> None:
    queue = RqQueue(servers[1])
    with workers(*servers, tmp_path / "log", processes=2, time_limit=3_000, lease=600) as running:
        async with scheduling(engine, queue):
            job = await add_job(transactions, "held")
            began = await asyncio.to_thread(running.wait_for, f"began {job}")
            killed = int(began.rpartition(" ")[2])
            os.kill(killed, signal.SIGKILL)
            await asyncio.to_thread(running.wait_until_killed, killed)
            end_leases(database, job)
            await until(lambda: row(database, job).state is JobState.DONE)
    await queue.aclose()
    assert (row(database, job).tries, row(database, job).refunds) == (2, 1)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with throwaway_postgres() as postgres:
        yield postgres


@pytest.fixture
async def its_engine(server: PostgresServer) -> AsyncIterator[AsyncEngine]:
    with closing(Databases(server.url)) as databases:
        engine = open_engine(await asyncio.to_thread(databases.create_migrated))
    yield engine
    await engine.dispose()


async def done(job: LedgerEntry) -> None:
    assert job.kind == "ok"


async def test_without_postgresql_both_wait_and_go_on_when_it_is_back(
    server: PostgresServer, its_engine: AsyncEngine, queue: RqQueue, redis_url: str
) -> None:
    transactions = SqlAlchemyTransactions(its_engine, queue)
    run_job = RunJob(SqlAlchemyClaims(its_engine), transactions, {"ok": done}, SystemChance())
    away = {"no work, the store is away", "no scans, the store is away"}
    back = {"work goes on", "scans go on"}
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as lines:
        worker = asyncio.create_task(
            # One slot: of several one may still fail where another goes on.
            run_worker(run_job, redis_url=redis_url, stop=stop, on_ready=lambda: None, concurrency=1)
        )
        async with scheduling(its_engine, queue):
            await asyncio.to_thread(server.kill)
            await until(lambda: away <= {line["event"] for line in lines})
            await asyncio.to_thread(server.start)
            job = await add_job(transactions, "ok")
            await until(lambda: away | back <= {line["event"] for line in lines})
            await until(lambda: _done(lines, job))
        stop.set()
        await worker
        await all_heard()
    events = [line["event"] for line in lines]
    assert {event: events.count(event) for event in away | back} == dict.fromkeys(away | back, 1)


def _done(lines: list[EventDict], job: UUID) -> bool:
    return any(line["event"] == "job done" and line["job_id"] == str(job) for line in lines)
