"""A worker: one event loop that does jobs, and a thread beside it in which RQ waits for hints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

import structlog

from taskflow_worker.handlers import handing_to
from taskflow_worker.listener import Listener
from taskflow_worker.slots import Slots

if TYPE_CHECKING:
    from taskflow_core.use_cases.bundle import Work

log: Final = structlog.get_logger("taskflow_worker")

BEAT_SECONDS: Final = 1.0
LEAVE_SECONDS: Final = 1.5
"""How long a worker that has ended waits for RQ to notice; nothing depends on it."""


def no_beat() -> None:
    """Tell nobody."""


async def run_worker(
    run_job: Work,
    *,
    redis_url: str,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
    beat: Callable[[], None] = no_beat,
    concurrency: int = 4,
    drain: float = 10.0,
    queue_name: str = "taskflow",
) -> None:
    """Do jobs until `stop` is set; one worker a process.

    Neither Redis nor PostgreSQL has to be there: without the first it looks for work about each second,
    without the second it waits.

    Args:
        run_job: Does one that is due.
        redis_url: Where hints come from.
        stop: Ends it, within `drain` seconds: what runs ends, or is given back.
        on_ready: Called once it works.
        beat: Called about each second as long as the loop is not blocked.
        concurrency: How many jobs at a time.
        drain: Seconds.
        queue_name: Where hints come from.

    Raises:
        RuntimeError: There is a worker in this process already.
        ValueError: That is no URL of a Redis.
    """
    listener = Listener(redis_url, queue_name)
    slots = Slots(run_job, concurrency)
    with handing_to(slots.take):
        beating = asyncio.create_task(keep_beating(beat))
        slots.start()
        listener.start()
        on_ready()
        log.info("worker started", concurrency=concurrency, queue=queue_name)
        try:
            await _first_of(stop.wait(), slots.ended())
            if not stop.is_set():
                raise RuntimeError("A slot ended by itself; whoever watches this worker starts another.")
        finally:
            began = time.monotonic()
            listener.stop()
            await slots.stop(drain)
            left = drain - (time.monotonic() - began)
            await asyncio.to_thread(listener.join, max(0.0, min(left, LEAVE_SECONDS)))
            beating.cancel()
            log.info("worker ended")


async def _first_of(*awaited: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(each) for each in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def keep_beating(beat: Callable[[], None]) -> None:
    """Beat about each second, for as long as the loop runs."""
    while True:
        beat()
        await asyncio.sleep(BEAT_SECONDS)
