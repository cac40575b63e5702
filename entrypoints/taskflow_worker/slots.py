"""The loop's side of a worker: as many tasks as jobs may run at a time, each of which does what is due."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from taskflow_core import Unavailable
from taskflow_core.use_cases.ledger.run import Outcome
from taskflow_worker.tries import reason_of, tell

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_core.use_cases.bundle import Work
    from taskflow_core.use_cases.ledger.run import Ran

log: Final = structlog.get_logger("taskflow_worker")

POLL_SECONDS: Final = 1.0
"""About so often one looks for work that nobody hinted at."""
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 2.0
"""How long one rests after the store failed: from the first, doubled each time, to this."""


def giving_back(seconds: float) -> float:
    """Return how long giving back may take, after jobs had so many seconds to end: a fifth, 2 s at most."""
    return min(2.0, seconds / 5)


@dataclass(slots=True)
class Slots:
    """Does jobs, `concurrency` at a time.

    One that found something goes on until nothing is due. It is woken by hints and by a clock, and wakes
    another as long as it finds work that nobody hinted at: so one hint is enough for any number of jobs.
    Where there are several, one is kept from jobs that all may wait for the same thing (`RunJob.bulkhead`).
    """

    run_job: Work
    concurrency: int
    poll_seconds: float = POLL_SECONDS
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _hints: deque[tuple[UUID, Future[None]]] = field(default_factory=deque)
    _idle: int = 0
    _wakes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _stuck: set[asyncio.Task[Any]] = field(default_factory=set)
    _is_stuck: asyncio.Event = field(default_factory=asyncio.Event)
    _failures: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _polling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the loop that runs."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [self._loop.create_task(self._slot()) for _ in range(self.concurrency)]
        self._polling = self._loop.create_task(self._poll())

    def take(self, hint: UUID) -> None:
        """Take a hint, from another thread; return once a slot has it, or none is to have it any more."""
        taken: Future[None] = Future()
        try:
            self._loop.call_soon_threadsafe(self._offer, hint, taken)
        except RuntimeError:
            return  # the loop has ended
        taken.result()

    async def ended(self) -> None:
        """Return when a slot has ended, which none does by itself but by a fault."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            log.critical("a slot ended by itself", exc_info=None if task.cancelled() else task.exception())

    async def stuck(self) -> None:
        """Return when a slot has a job that goes on although it was cancelled: the slot is lost to others."""
        await self._is_stuck.wait()

    async def stop(self, seconds: float) -> None:
        """Claim nothing more; give what runs so many seconds to end, then have it given back.

        That takes `giving_back(seconds)` at most. What will not end is left as it is. What is stuck is not
        waited for.
        """
        self._stopping.set()
        if self._polling is not None:
            self._polling.cancel()
        for _, taken in self._hints:
            taken.set_result(None)
        self._hints.clear()
        for _ in self._tasks:
            self._wakes.release()
        ending = set(self._tasks) - self._stuck
        busy = (await asyncio.wait(ending, timeout=seconds))[1] if ending else set()
        for task in busy:
            task.cancel()
        if busy:
            log.warning("jobs are given back", count=len(busy))
            await asyncio.wait(busy, timeout=giving_back(seconds))

    def _offer(self, hint: UUID, taken: Future[None]) -> None:
        if self._stopping.is_set():
            taken.set_result(None)
            return
        self._hints.append((hint, taken))
        self._wake_one()

    def _wake_one(self) -> None:
        # Where all are busy they look for hints by themselves, before they rest.
        if self._idle:
            self._wakes.release()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self.poll_seconds * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
            self._wake_one()

    async def _slot(self) -> None:
        await self._go_on(None)
        while not self._stopping.is_set():
            hint = self._next_hint()
            if hint is None:
                await self._rest()
                hint = self._next_hint()
            await self._go_on(hint)

    async def _rest(self) -> None:
        self._idle += 1
        try:
            await self._wakes.acquire()
        finally:
            self._idle -= 1

    def _next_hint(self) -> UUID | None:
        if not self._hints:
            return None
        hint, taken = self._hints.popleft()
        taken.set_result(None)
        return hint

    async def _go_on(self, hint: UUID | None) -> None:
        """Do what is hinted at, then what else is due, until nothing is."""
        while not self._stopping.is_set():
            if await self._try(hint) is None:
                return
            if hint is None:
                self._wake_one()
            hint = self._next_hint()

    async def _try(self, hint: UUID | None) -> Ran | None:
        began = time.monotonic()
        try:
            ran = await self._run(hint)
        except Unavailable as error:
            if not self._failures:
                log.warning("no work, the store is away", error=error.detail, reason=reason_of(error))
            await self._pause()
            return None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            log.exception("a try was cut off by somebody else")
            await self._pause()
            return None
        except Exception:
            log.exception("a try failed outside of its job")
            await self._pause()
            return None
        if self._failures:
            self._failures = 0
            log.info("work goes on")
        if ran is not None:
            tell(ran, time.monotonic() - began)
        return ran

    async def _run(self, hint: UUID | None) -> Ran | None:
        slot = asyncio.current_task()
        size, hear = max(1, self.concurrency - 1), partial(self._hear, slot)
        try:
            return await self.run_job(hint, bulkhead_size=size, tell=hear)
        finally:
            self._stuck -= {slot}

    def _hear(self, slot: asyncio.Task[Any] | None, ran: Ran) -> None:
        tell(ran)
        if ran.outcome is Outcome.STUCK and slot is not None:
            self._stuck.add(slot)
            self._is_stuck.set()

    async def _pause(self) -> None:
        doubled: int = 2 ** min(self._failures, 10)
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * doubled)
        self._failures += 1
        try:
            async with asyncio.timeout(longest * random.uniform(0.5, 1)):  # noqa: S311 - no secret
                await self._stopping.wait()
        except TimeoutError:
            return
