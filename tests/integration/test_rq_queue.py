"""Hints in RQ's queue: pushed soon, few at a time, dropped rather than waited for."""

import asyncio
import json
import socket
import statistics
import threading
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from uuid import uuid4

import pytest
import structlog
from redis import Redis

from support.pauses import paused
from support.redis import PATIENCE
from support.work import until
from taskflow_core import Unavailable
from taskflow_embedded import ValkeyServer, throwaway_valkey
from taskflow_rq import RqQueue
from taskflow_rq.queue import FULL, GAP_SECONDS, PUSH, TTL_SECONDS

LIST = "rq:queue:taskflow"


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is late by a second or two is not away: no hint is dropped for that."""
    for name in ("CONNECT_SECONDS", "ANSWER_SECONDS", "WAITING_SECONDS", "CLOSE_SECONDS"):
        monkeypatch.setattr(f"taskflow_rq.queue.{name}", PATIENCE)


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[RqQueue]:
    queue = RqQueue(redis_url)
    yield queue
    await queue.aclose()


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with throwaway_valkey() as valkey:
        yield valkey


def pushed(redis: Redis) -> list[str]:
    return [raw(entry).decode() for entry in redis.lrange(LIST, 0, -1)]


def raw(value: bytes | str | None) -> bytes:
    assert isinstance(value, bytes)
    return value


async def test_a_hint_is_an_rq_job_that_names_its_entry_and_is_soon_forgotten(
    queue: RqQueue, redis: Redis
) -> None:
    entry = uuid4()
    queue.hint([entry])
    await until(lambda: redis.llen(LIST) == 1)
    assert pushed(redis) == [str(entry)]
    kept = redis.hgetall(f"rq:job:{entry}")
    call = json.loads(zlib.decompress(raw(kept[b"data"])))
    assert call == ["taskflow_worker.handlers.run", None, [str(entry)], {}]
    assert (kept[b"result_ttl"], kept[b"timeout"], kept[b"failure_ttl"]) == (b"0", b"-1", b"60")
    assert 0 < redis.ttl(f"rq:job:{entry}") <= TTL_SECONDS
    assert b"retries_left" not in kept
    assert await queue.waiting() == 1


async def test_a_queue_whose_host_cannot_be_looked_up_is_away_within_a_second_or_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("taskflow_rq.queue.WAITING_SECONDS", 1.0)
    answered = threading.Event()

    def look_up(*_: object) -> None:
        answered.wait(60)
        raise socket.gaierror("Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    queue = RqQueue("redis://redis.internal:6379/0")
    try:
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await queue.waiting()
            assert time.monotonic() - began < 30
    finally:
        answered.set()
        await queue.aclose()


async def test_the_name_and_the_function_are_as_told(redis_url: str, redis: Redis) -> None:
    queue = RqQueue(redis_url, name="other", handler="some.thing")
    queue.hint([uuid4()])
    await until(lambda: redis.llen("rq:queue:other") == 1)
    (key,) = redis.keys("rq:job:*")
    assert json.loads(zlib.decompress(raw(redis.hget(key, "data"))))[0] == "some.thing"
    assert await queue.waiting() == 1
    await queue.aclose()


async def test_of_many_hints_some_are_pushed(queue: RqQueue, redis: Redis) -> None:
    many, last = [uuid4() for _ in range(1000)], uuid4()
    queue.hint(many)
    await until(lambda: redis.llen(LIST) >= PUSH)
    queue.hint([last])
    await until(lambda: str(last) in pushed(redis))
    assert pushed(redis) == [str(entry) for entry in (*many[:PUSH], last)]


async def test_a_storm_of_hints_is_a_few_pushes_and_costs_next_to_nothing(
    queue: RqQueue, redis: Redis
) -> None:
    queue.hint([uuid4()])
    await until(lambda: redis.llen(LIST) == 1)
    began, spent = time.monotonic(), []
    for _ in range(200):
        at = time.perf_counter()
        for _ in range(50):
            queue.hint([uuid4()])
        spent.append(time.perf_counter() - at)
        await asyncio.sleep(0.005)
    await until(lambda: redis.llen(LIST) > PUSH)
    assert redis.llen(LIST) <= PUSH * ((time.monotonic() - began) / GAP_SECONDS + 2)
    assert statistics.median(spent) < 0.005


async def test_a_full_queue_gets_no_more(queue: RqQueue, redis: Redis) -> None:
    redis.rpush(LIST, *("x" for _ in range(FULL + 5)))
    queue.hint([uuid4()])
    await until(lambda: redis.llen(LIST) == FULL + 6)
    for _ in range(20):
        queue.hint([uuid4()])
        await asyncio.sleep(0.06)
    assert redis.llen(LIST) == FULL + 6
    redis.delete(LIST)
    queue.hint([uuid4()])
    await until(lambda: redis.llen(LIST) > 0)


async def test_what_was_hinted_last_is_pushed_at_the_end(redis_url: str, redis: Redis) -> None:
    queue = RqQueue(redis_url)
    queue.hint([uuid4()])
    await until(lambda: redis.llen(LIST) == 1)
    queue.hint([uuid4()])
    await queue.aclose()
    assert redis.llen(LIST) == 2
    queue.hint([uuid4()])
    await asyncio.sleep(0.1)
    assert redis.llen(LIST) == 2


async def test_a_queue_that_was_never_used_closes() -> None:
    await RqQueue("redis://127.0.0.1:1/0").aclose()


def test_a_hint_before_any_loop_runs_goes_with_the_next(redis_url: str, redis: Redis) -> None:
    queue = RqQueue(redis_url)
    early = uuid4()
    queue.hint([early])

    async def later() -> None:
        queue.hint([])
        await until(lambda: redis.llen(LIST) == 1)
        await queue.aclose()

    asyncio.run(later())
    assert pushed(redis) == [str(early)]


async def test_without_redis_hints_are_dropped_and_that_is_told_once(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskflow_rq.queue.AWAY_SECONDS", 0.05)
    queue, spent = RqQueue(server.url), []
    server.kill()

    def hint() -> None:
        at = time.perf_counter()
        queue.hint([uuid4()])
        spent.append(time.perf_counter() - at)

    def reaches(redis: Redis) -> bool:
        hint()
        return redis.llen(LIST) > 0

    with structlog.testing.capture_logs() as lines:
        while not lines:
            hint()
            await asyncio.sleep(0.01)
        for _ in range(100):
            hint()
            await asyncio.sleep(0.01)
        with pytest.raises(Unavailable, match="Redis cannot be reached now"):
            await queue.waiting()
        server.start()
        with Redis.from_url(server.url) as redis:
            await until(lambda: reaches(redis))
        await queue.aclose()
    assert [line["event"] for line in lines] == [
        "hints are dropped, Redis is away",
        "hints are pushed again",
    ]
    assert statistics.median(spent) < 0.05


async def test_a_redis_that_does_not_answer_holds_nobody_up(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = RqQueue(server.url)
    queue.hint([uuid4()])
    await queue.waiting()
    with paused(server.pid):
        began = time.monotonic()
        for _ in range(100):
            queue.hint([uuid4()])
            await asyncio.sleep(0.01)
        # Whoever had waited for an answer, would have for longer.
        assert time.monotonic() - began < PATIENCE / 2
        for name in ("WAITING_SECONDS", "CLOSE_SECONDS"):
            monkeypatch.setattr(f"taskflow_rq.queue.{name}", 1.0)
        with pytest.raises(Unavailable):
            await queue.waiting()
        await queue.aclose()
        assert time.monotonic() - began < PATIENCE * 3 / 4


async def test_what_pushes_belongs_to_no_request(queue: RqQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    request: ContextVar[str | None] = ContextVar("request", default=None)
    request.set("the first that hinted")
    seen: list[str | None] = []

    async def push() -> float:
        queue._buffer.clear()
        seen.append(request.get())
        return 0.0

    monkeypatch.setattr(queue, "_push", push)
    queue.hint([uuid4()])
    await until(lambda: bool(seen))
    assert seen == [None]
