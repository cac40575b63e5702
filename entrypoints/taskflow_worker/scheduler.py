"""A scheduler: does what has to be done again and again. Any number may run; they agree in PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from taskflow_core import DeadlineExceeded, Unavailable
from taskflow_core.use_cases.ledger.reconcile import Reconciled
from taskflow_worker.tries import reason_of, tell
from taskflow_worker.worker import keep_beating, no_beat

if TYPE_CHECKING:
    from taskflow_core.use_cases.bundle import Scan

log: Final = structlog.get_logger("taskflow_worker")

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 2.0
END_SECONDS: Final = 5.0
"""How long scans that are under way may take to end; one that is cut off is taken back whole."""


async def run_scheduler(
    scans: Mapping[str, Scan],
    *,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
    beat: Callable[[], None] = no_beat,
    every: float = 1.0,
) -> None:
    """Scan until `stop` is set; it ends `END_SECONDS` later at most.

    Args:
        scans: By the name that logs tell.
        stop: Ends it.
        on_ready: Called once it works.
        beat: Called about each second as long as the loop is not blocked.
        every: Seconds, about, between two scans where there is nothing to do.

    Raises:
        RuntimeError: A scan is done no more: what it raised can not be gone on from.
    """
    loops = [asyncio.create_task(_Scanning(name, scan, stop, every).run()) for name, scan in scans.items()]
    beating = asyncio.create_task(keep_beating(beat))
    on_ready()
    log.info("scheduler started", scans=sorted(scans), pid=os.getpid())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([stopping, *loops], return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            _tell_of_ended(loops)
            raise RuntimeError("A scan has ended; whoever watches this scheduler starts another.")
        if loops:
            await asyncio.wait(loops, timeout=END_SECONDS)
    finally:
        for task in (*loops, stopping, beating):
            task.cancel()
        await asyncio.gather(*loops, stopping, beating, return_exceptions=True)
        log.info("scheduler ended", pid=os.getpid())


def _tell_of_ended(loops: Sequence[asyncio.Task[None]]) -> None:
    for task in loops:
        if task.done():
            log.critical("a scan ended by itself", exc_info=None if task.cancelled() else task.exception())


@dataclass(slots=True)
class _Scanning:
    name: str
    scan: Scan
    stop: asyncio.Event
    every: float
    failures: int = 0

    async def run(self) -> None:
        while not self.stop.is_set():
            await self._rest(await self._once())

    async def _once(self) -> float:
        """Scan; return for how many seconds to rest."""
        try:
            found = await self.scan()
        except DeadlineExceeded as error:
            log.warning("a scan takes too long", scan=self.name, error=error.detail, reason=reason_of(error))
            return self._pause()
        except Unavailable as error:
            if not self.failures:
                log.warning(
                    "no scans, the store is away", scan=self.name, error=error.detail, reason=reason_of(error)
                )
            return self._pause()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            log.exception("a scan was cut off by somebody else", scan=self.name)
            return self._pause()
        except Exception:
            log.exception("a scan failed", scan=self.name)
            return self._pause()
        if self.failures:
            self.failures = 0
            log.info("scans go on", scan=self.name)
        if isinstance(found, Reconciled):
            for ran in found.ended:
                tell(ran)
        return 0.0 if found else self.every * random.uniform(0.75, 1.25)  # noqa: S311 - no secret

    def _pause(self) -> float:
        doubled: int = 2 ** min(self.failures, 10)
        self.failures += 1
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * doubled)
        return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.stop.wait()
        except TimeoutError:
            return
