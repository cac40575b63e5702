"""A worker: one event loop that does jobs, and a thread beside it in which RQ waits for hints."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

import structlog

from taskflow_worker.handlers import handing_to
from taskflow_worker.listener import Listener
from taskflow_worker.slots import Slots, giving_back

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
    is_watched: bool = True,
) -> None:
    """Do jobs until `stop` is set; one worker a process.

    Neither Redis nor PostgreSQL has to be there: without the first it looks for work about each second,
    without the second it waits.

    Args:
        run_job: Does one that is due.
        redis_url: Where hints come from.
        stop: Ends it: what runs has `drain` seconds, and is given back after that, in `giving_back` more.
        on_ready: Called once it works.
        beat: Called about each second as long as the loop is not blocked.
        concurrency: How many jobs at a time.
        drain: Seconds.
        queue_name: Where hints come from.
        is_watched: Whether somebody starts another where this one ends: if so, a job that is stuck ends it.

    Raises:
        RuntimeError: There is a worker in this process already; or this one can do its work no more.
        ValueError: That is no URL of a Redis.
    """
    listener = Listener(redis_url, queue_name)
    slots = Slots(run_job, concurrency)
    with handing_to(slots.take):
        beating = asyncio.create_task(keep_beating(beat))
        slots.start()
        listener.start()
        on_ready()
        log.info("worker started", concurrency=concurrency, queue=queue_name, pid=os.getpid())
        faults = [slots.ended()] + ([slots.stuck()] if is_watched else [])
        try:
            await first_of(stop.wait(), *faults)
            if not stop.is_set():
                raise RuntimeError("A slot is lost; whoever watches this worker starts another.")
        finally:
            ends = time.monotonic() + drain + giving_back(drain)
            listener.stop()
            await slots.stop(drain)
            left = ends - time.monotonic()
            await asyncio.to_thread(listener.join, max(0.0, min(left, LEAVE_SECONDS)))
            beating.cancel()
            log.info("worker ended", pid=os.getpid())


async def first_of(*awaited: Coroutine[Any, Any, object]) -> None:
    """Return once the first of these has ended, however that did; the others are cancelled."""
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
