"""Removing what belongs to deleted accounts, beside the requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from taskflow_core import Actor, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log: Final = structlog.get_logger("taskflow_http")

PAUSES: Final = (1.0, 5.0, 30.0, 120.0)
"""Seconds until the next attempt where the store cannot be reached; then the next start or deletion tries."""


class Purger:
    """Runs the use case one at a time, again whenever it was asked for meanwhile.

    Nothing is lost where it is killed: the accounts stay marked, and the next run carries on.

    Args:
        purge: The use case.
    """

    def __init__(self, purge: Callable[[Actor], Awaitable[int]]) -> None:
        self._purge = purge
        self._wanted = False
        self._task: asyncio.Task[None] | None = None

    def trigger(self) -> None:
        """Have it run soon; returns at once."""
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="purge deleted users")

    async def close(self) -> None:
        """Stop it. The step under way is taken back whole."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._wanted:
            self._wanted = False
            await self._attempt()

    async def _attempt(self) -> None:
        for pause in (*PAUSES, None):
            try:
                rows = await self._purge(Actor.operator())
            except Unavailable as error:
                log.warning("purge of deleted users failed", code=error.code, again_in=pause)
            except Exception:
                log.exception("purge of deleted users failed")
                return
            else:
                log.info("purged deleted users", rows=rows)
                return
            if pause is not None:
                await asyncio.sleep(pause)
