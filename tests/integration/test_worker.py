"""A worker with a real queue: hinted, lied to, and left alone by Redis."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import structlog
from redis import Redis
from rq import Callback, Queue
from rq.serializers import JSONSerializer
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import EventDict

from support.pauses import paused
from support.redis import PATIENCE
from support.work import DueJobs, an_entry, until
from support.workers import add_job, all_heard, row
from taskflow_core import JobState, LedgerEntry
from taskflow_core.ports.persistence import Transaction
from taskflow_core.use_cases.bundle import Work
from taskflow_core.use_cases.ledger.run import Effect, Outcome, Ran, RunJob
from taskflow_embedded import ValkeyServer, throwaway_valkey
from taskflow_rq import RqQueue
from taskflow_sqlalchemy import SqlAlchemyClaims, SqlAlchemyTransactions
from taskflow_system import SystemChance
from taskflow_worker.slots import Slots
from taskflow_worker.worker import run_worker

LIST = "rq:queue:taskflow"
RUN = "taskflow_worker.handlers.run"


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with throwaway_valkey() as valkey:
        yield valkey


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is late by a second or two is not away: no hint is dropped for that."""
    for name in ("CONNECT_SECONDS", "ANSWER_SECONDS", "CLOSE_SECONDS"):
        monkeypatch.setattr(f"taskflow_rq.queue.{name}", PATIENCE)
    for name in ("hints.ANSWER_SECONDS", "listener.ANSWER_SECONDS", "listener.CONNECT_SECONDS"):
        monkeypatch.setattr(f"taskflow_worker.{name}", PATIENCE)
    monkeypatch.setattr("taskflow_worker.hints.REFUSED_SECONDS", 10 * PATIENCE)


@pytest.fixture
def redis_url(redis_url: str) -> str:
    """Another database than that of workers that other tests killed: they may not be gone yet."""
    assert redis_url.endswith("0")
    return f"{redis_url[:-1]}1"


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[RqQueue]:
    queue = RqQueue(redis_url)
    yield queue
    await queue.aclose()


@dataclass
class Working:
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ready: int = 0
    beats: int = 0

    def on_ready(self) -> None:
        self.ready += 1

    def beat(self) -> None:
        self.beats += 1


@asynccontextmanager
async def working(run_job: Work, redis_url: str, **options: Any) -> AsyncIterator[Working]:
    its = Working()
    task = asyncio.create_task(
        run_worker(
            run_job, redis_url=redis_url, stop=its.stop, on_ready=its.on_ready, beat=its.beat, **options
        )
    )
    try:
        yield its
    finally:
        its.stop.set()
        await task
        await all_heard()


def told(lines: list[EventDict]) -> list[str]:
    return [line["event"] for line in lines if "Redis" in line["event"] or "hint" in line["event"]]


async def listens(redis: Redis) -> None:
    """Return once a worker waits at the queue."""
    own = str(redis.client_info()["db"])
    await until(lambda: any(each["cmd"] == "blpop" and each["db"] == own for each in redis.client_list()))


async def test_a_hint_wakes_it(queue: RqQueue, redis: Redis, redis_url: str) -> None:
    jobs = DueJobs()
    async with working(jobs, redis_url) as its:
        await listens(redis)
        jobs.due = [uuid4() for _ in range(30)]
        hinted = jobs.due[20]
        queue.hint([hinted])
        await until(lambda: len(jobs.done) == 30 and hinted in jobs.asked)
        assert (its.ready, its.beats >= 1) == (1, True)
    assert redis.keys("rq:job:*") == []
    assert redis.llen(LIST) == 0


async def test_it_leaves_nothing_in_redis_but_that_there_was_a_queue(
    queue: RqQueue, redis: Redis, redis_url: str
) -> None:
    jobs = DueJobs()
    async with working(jobs, redis_url):
        await listens(redis)
        for _ in range(5):
            queue.hint([uuid4()])
            await asyncio.sleep(0.05)
        await until(lambda: len([hint for hint in jobs.asked if hint]) == 5)
        assert redis.scard("rq:workers") == 1
    assert redis.scard("rq:workers") == 0
    (left,) = redis.keys("rq:worker:*")
    assert 0 < redis.ttl(left) <= 60
    assert set(redis.keys("*")) == {b"rq:queues", left}


async def test_what_else_stands_in_the_queue_is_refused_and_stops_nothing(
    queue: RqQueue, redis: Redis, redis_url: str
) -> None:
    bad = Queue("taskflow", connection=redis, serializer=JSONSerializer)
    bad.enqueue("os.abort")
    bad.enqueue("builtins.print", args=("x",), on_failure=Callback("os.abort"))
    bad.enqueue(RUN, args=("no id",))
    Queue("taskflow", connection=redis).enqueue(RUN, args=(str(uuid4()),))  # pickled
    redis.hset("rq:job:odd", mapping={"data": pickle.dumps(1), "status": "odd", "timeout": "x"})
    redis.rpush(LIST, "odd", "not there", "not an id *", b"\xff\xfe", "")
    redis.set("rq:suspended", 1)
    jobs = DueJobs()
    with structlog.testing.capture_logs() as lines:
        async with working(jobs, redis_url):
            await listens(redis)
            await until(lambda: redis.llen(LIST) == 0)
            assert [hint for hint in jobs.asked if hint] == []
            jobs.due = [uuid4()]
            queue.hint(jobs.due)
            await until(lambda: len(jobs.done) == 1 and any(jobs.asked))
    (refused,) = [line for line in lines if line["event"] == "hint refused"]
    assert refused["log_level"] == "warning"
    assert "Redis is away" not in str(lines)


async def test_a_key_of_another_type_is_an_outage_and_no_end(
    queue: RqQueue, redis: Redis, redis_url: str
) -> None:
    redis.set(LIST, "no list")
    jobs = DueJobs()
    with structlog.testing.capture_logs() as lines:
        async with working(jobs, redis_url):
            await until(lambda: bool(told(lines)))
            await asyncio.sleep(1.0)
            assert told(lines) == ["no hints, Redis is away"]
            redis.delete(LIST)
            await until(lambda: "hints are heard again" in told(lines))
            queue.hint([uuid4()])
            await until(lambda: any(jobs.asked))


async def test_without_redis_jobs_go_on_and_soon_after_it_is_back_so_do_hints(server: ValkeyServer) -> None:
    jobs = DueJobs()
    queue = RqQueue(server.url)
    with structlog.testing.capture_logs() as lines:
        async with working(jobs, server.url):
            with Redis.from_url(server.url) as redis:
                await listens(redis)
            server.kill()
            for _ in range(3):
                jobs.due = [uuid4() for _ in range(5)]
                queue.hint(jobs.due)
                await until(lambda: not jobs.due)
            await until(lambda: "no hints, Redis is away" in told(lines))
            server.start()
            jobs.asked.clear()

            def hears() -> bool:
                queue.hint([uuid4()])
                return any(jobs.asked)

            await until(hears)
    await queue.aclose()
    assert [event for event in told(lines) if "heard" in event or "no hints" in event] == [
        "no hints, Redis is away",
        "hints are heard again",
    ]


async def test_a_redis_that_does_not_answer_is_away_and_stops_no_jobs(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("hints", "listener"):
        monkeypatch.setattr(f"taskflow_worker.{name}.ANSWER_SECONDS", 3.0)
    jobs = DueJobs()
    with structlog.testing.capture_logs() as lines:
        async with working(jobs, server.url):
            with Redis.from_url(server.url) as redis:
                await listens(redis)
            with paused(server.pid):
                await until(lambda: "no hints, Redis is away" in told(lines))
                jobs.due = [uuid4()]
                await until(lambda: not jobs.due)


async def test_a_redis_that_does_not_answer_does_not_hold_up_the_end(server: ValkeyServer) -> None:
    with structlog.testing.capture_logs() as lines:
        async with working(DueJobs(), server.url, drain=4.0) as its:
            with Redis.from_url(server.url) as redis:
                await listens(redis)
            with paused(server.pid):
                its.stop.set()
                # Whoever had waited for the answer, would have for longer.
                await until(lambda: lines[-1]["event"] == "worker ended", PATIENCE / 2)


async def test_it_starts_without_redis() -> None:
    jobs = DueJobs([uuid4()])
    async with working(jobs, "redis://127.0.0.1:1/0") as its:
        await until(lambda: not jobs.due)
        assert its.ready == 1


async def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="scheme"):
        await run_worker(DueJobs(), redis_url="http://127.0.0.1", stop=asyncio.Event(), on_ready=lambda: None)


class Stuck(DueJobs):
    """Of which the first job goes on although it was cancelled, as is told of it."""

    async def __call__(self, hint: UUID | None = None, **given: Any) -> Ran | None:
        if not self.asked:
            self.asked.append(hint)
            given["tell"](Ran(an_entry(), Outcome.STUCK))
            await asyncio.Event().wait()
        return await super().__call__(hint, **given)


async def test_a_job_that_is_stuck_ends_a_worker_that_is_watched() -> None:
    stop = asyncio.Event()
    worker = run_worker(Stuck(), redis_url="redis://127.0.0.1:1/0", stop=stop, on_ready=lambda: None)
    with pytest.raises(RuntimeError, match="A slot is lost"):
        await asyncio.wait_for(worker, 30)


async def test_one_that_nobody_watches_goes_on() -> None:
    jobs = Stuck([uuid4()])
    async with working(jobs, "redis://127.0.0.1:1/0", drain=0.1, is_watched=False):
        await until(lambda: len(jobs.done) == 1)
        jobs.due.append(uuid4())
        await until(lambda: len(jobs.done) == 2)


# --- on PostgreSQL ---


async def refunding(job: LedgerEntry) -> Effect:
    async def effect(transaction: Transaction) -> None:
        transaction.samples.refund(job.id)

    return effect


@pytest.fixture
def run_job(engine: AsyncEngine) -> RunJob:
    return RunJob(SqlAlchemyClaims(engine), SqlAlchemyTransactions(engine), {"ok": refunding}, SystemChance())


@pytest.fixture
def transactions(engine: AsyncEngine, queue: RqQueue) -> SqlAlchemyTransactions:
    return SqlAlchemyTransactions(engine, queue)


def junk(redis: Redis, count: int) -> None:
    queue = Queue("taskflow", connection=redis, serializer=JSONSerializer)
    for _ in range(0, count, 500):
        ids = [str(uuid4()) for _ in range(500)]
        queue.enqueue_many(
            [Queue.prepare_data(RUN, (name,), result_ttl=0, timeout=-1, description="hint") for name in ids]
        )


@pytest.fixture
def hints_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker does not look for work by itself but when it begins."""
    monkeypatch.setattr("taskflow_worker.worker.Slots", partial(Slots, poll_seconds=3600.0))


@pytest.mark.usefixtures("hints_alone")
async def test_jobs_of_a_committed_unit_are_hinted_at_and_run_once(
    transactions: SqlAlchemyTransactions,
    database: psycopg.Connection[Any],
    redis: Redis,
    redis_url: str,
    run_job: RunJob,
) -> None:
    async with working(run_job, redis_url):
        await listens(redis)
        made: list[UUID] = []
        for _ in range(20):
            made.append(await add_job(transactions, "ok"))
            await until(lambda: row(database, made[-1]).state is JobState.DONE)
    assert {row(database, job).refunds for job in made} == {1}


async def test_ten_thousand_hints_at_nothing_are_not_in_the_way_of_a_fresh_job(
    transactions: SqlAlchemyTransactions,
    database: psycopg.Connection[Any],
    redis: Redis,
    redis_url: str,
    run_job: RunJob,
) -> None:
    await asyncio.to_thread(junk, redis, 10_000)
    async with working(run_job, redis_url):
        await until(lambda: redis.llen(LIST) < 9_990)
        fresh = await add_job(transactions, "ok")
        await until(lambda: row(database, fresh).state is JobState.DONE)
        assert redis.llen(LIST) > 1000, "it waited until the junk was gone"
