"""Hints: carried soon, a few of many are enough, and giving one never waits and never fails."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from support.samples import new_id
from taskflow_core.ports.queue import Queue
from taskflow_memory import MemoryQueue

PATIENCE = 60.0
"""Seconds, against hangs."""


@pytest.fixture(params=["memory", "rq"])
async def queue(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Queue]:
    if request.param == "memory":
        yield MemoryQueue()
        return
    from taskflow_rq import RqQueue

    # So that no hint is dropped because an answer was late.
    for name in ("CONNECT_SECONDS", "ANSWER_SECONDS", "WAITING_SECONDS"):
        monkeypatch.setattr(f"taskflow_rq.queue.{name}", PATIENCE)
    real = RqQueue(request.getfixturevalue("redis_url"))
    yield real
    await real.aclose()


async def waiting(queue: Queue, least: int) -> int:
    """How many hints wait, once so many do."""
    async with asyncio.timeout(PATIENCE):
        while (number := await queue.waiting()) < least:  # noqa: ASYNC110 - a queue tells by this alone
            await asyncio.sleep(0.01)
    return number


async def test_at_first_none_waits(queue: Queue) -> None:
    assert await queue.waiting() == 0


async def test_what_is_hinted_waits_for_a_worker(queue: Queue) -> None:
    queue.hint([new_id()])
    assert await waiting(queue, 1) == 1
    queue.hint([new_id(), new_id()])
    assert await waiting(queue, 3) == 3


async def test_no_hint_is_none(queue: Queue) -> None:
    queue.hint([])
    queue.hint([new_id()])
    assert await waiting(queue, 1) == 1


async def test_the_same_may_be_hinted_at_twice(queue: Queue) -> None:
    id = new_id()
    queue.hint([id, id])
    queue.hint([id])
    assert 1 <= await waiting(queue, 1) <= 3


async def test_of_many_some_are_carried_and_nobody_waits_for_that(queue: Queue) -> None:
    ids = [new_id() for _ in range(20_000)]
    began = time.monotonic()
    for n in range(0, len(ids), 100):
        queue.hint(ids[n : n + 100])
    assert time.monotonic() - began < 30
    assert 1 <= await waiting(queue, 1) <= len(ids)


async def test_what_was_hinted_is_not_the_callers_list(queue: Queue) -> None:
    ids = [new_id()]
    queue.hint(ids)
    ids.clear()
    assert await waiting(queue, 1) == 1
