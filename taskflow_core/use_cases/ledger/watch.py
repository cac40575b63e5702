"""Watches one try: its time, its lease, and whether it ends when it has to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskflow_core.errors import LeaseLost

if TYPE_CHECKING:
    from types import TracebackType

STUCK_AFTER: Final = timedelta(seconds=10)
"""What has not ended so long after it was cancelled is taken to be stuck: rolling back may take a while."""


@dataclass(slots=True)
class Watch:
    """Cancels the block under it, by TimeoutError, when its time is up or its lease is lost.

    Attributes:
        limit: Seconds that the block may take.
        lease: Seconds that a claim lasts. It is renewed after each third; a failure is tried again until
            the lease is out.
        held_until: By the loop's clock; until then at least the claim holds.
        renew: Makes it last for `lease` from then on, or raises `LeaseLost`.
        on_stuck: Called where the block goes on although it was cancelled.
        is_lost: Whether the lease was lost.
    """

    limit: float
    lease: float
    held_until: float
    renew: Callable[[], Awaitable[None]]
    on_stuck: Callable[[], None]
    is_lost: bool = False
    _timeout: asyncio.Timeout = field(init=False)
    _next: asyncio.TimerHandle = field(init=False)
    _stuck: asyncio.TimerHandle = field(init=False)
    _renewing: asyncio.Task[None] | None = None
    _is_over: bool = False

    @property
    def is_late(self) -> bool:
        """Whether its time was up."""
        return self._timeout.expired() and not self.is_lost

    async def __aenter__(self) -> Watch:
        loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(self.limit)
        self._next = loop.call_later(self.lease / 3, self._begin_renewing)
        self._stuck = loop.call_later(self.limit + STUCK_AFTER.total_seconds(), self.on_stuck)
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave_lease()
        self._stuck.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def leave_lease(self) -> None:
        """Renew no more: the transaction that is to end the job finds out by itself whether it is held."""
        self._is_over = True
        self._next.cancel()
        if self._renewing is not None:
            self._renewing.cancel()

    def _begin_renewing(self) -> None:
        self._renewing = asyncio.get_running_loop().create_task(self._renew_until_lost())
        self._renewing.add_done_callback(self._lose)

    async def _renew_until_lost(self) -> None:
        pause, clock = 0.0, asyncio.get_running_loop().time
        try:
            while True:
                async with asyncio.timeout_at(self.held_until):
                    await asyncio.sleep(pause)
                    asked = clock()
                    pause = self.lease / 20
                    if await self._renewed():
                        self.held_until, pause = asked + self.lease, self.lease / 3
        except (LeaseLost, TimeoutError):
            return

    async def _renewed(self) -> bool:
        try:
            await self.renew()
        except LeaseLost:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, as long as the lease lasts it may pass
            return False
        return True

    def _lose(self, _: asyncio.Task[None]) -> None:
        if self._is_over or self._timeout.expired():
            return
        loop = asyncio.get_running_loop()
        self.is_lost = True
        self._timeout.reschedule(loop.time())
        self._stuck.cancel()
        self._stuck = loop.call_later(STUCK_AFTER.total_seconds(), self.on_stuck)
