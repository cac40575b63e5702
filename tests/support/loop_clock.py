"""The clock of a test's event loop, in the test's hand."""

import asyncio
import time
from collections.abc import Callable


class LoopClock:
    """Has the running loop's clock stand still, but for when it is moved: till then no time-out is over.

    `asyncio.sleep` for any time does not return either, so what is waited for here is waited for by `until`.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        loop.time = lambda: self._now  # type: ignore[method-assign]

    async def move(self, seconds: float) -> None:
        """Let so much time pass, and whatever was to happen then begin to."""
        self._now += seconds
        for _ in range(5):
            await asyncio.sleep(0)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once that holds."""
        ends = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < ends, "it never came to hold"
            await asyncio.sleep(0)
            time.sleep(0.0005)  # noqa: ASYNC251 - others are to come to their turn
