"""The queue of hints that the settings name, opened when it is first needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from taskflow_core import Unavailable

if TYPE_CHECKING:
    from taskflow_rq import RqQueue

CLOSE_SECONDS: Final = 2.0
"""What hints that are still on their way have in the end; without them the scheduler sees to it."""


class LateQueue:
    """Hints by Redis (port `Queue`), where there is any; else the scheduler alone finds what is due.

    Its client takes a good part of a second to import, which commands that change nothing are spared.
    """

    def __init__(self, redis_url: str, on_open: Callable[[], None] | None = None) -> None:
        self._redis_url = redis_url
        self._on_open = on_open
        self._queue: RqQueue | None = None
        self._closed = False
        self._process = os.getpid()

    def open(self) -> RqQueue | None:
        """Return the queue, made by the first call; None where there is no Redis, or not any more."""
        if self._process != os.getpid():
            # A forked child has none of its parent's threads and tasks.
            self._queue, self._process = None, os.getpid()
        if self._queue is None and self._redis_url and not self._closed:
            if self._on_open is not None:
                self._on_open()
            from taskflow_rq import RqQueue  # noqa: PLC0415 - see above

            self._queue = RqQueue(self._redis_url)
        return self._queue

    def hint(self, ids: Sequence[UUID]) -> None:
        """Hint, where there are any ids and a queue."""
        queue = self.open() if ids else None
        if queue is not None:
            queue.hint(ids)

    async def waiting(self) -> int:
        """Return how many hints wait.

        Raises:
            Unavailable: There is no queue, or it cannot be reached.
        """
        queue = self.open()
        if queue is None:
            raise Unavailable("There is no queue.")
        return await queue.waiting()

    async def aclose(self) -> None:
        """Send what is on its way, as long as that does not take long, and disconnect."""
        self._closed = True
        if self._queue is None or self._process != os.getpid():
            return
        queue, self._queue = self._queue, None
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await queue.aclose()
        except TimeoutError:
            # What was to be hinted at is in the ledger all the same.
            return
