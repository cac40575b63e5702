"""The clock of a test's event loop, in the test's hand."""

import asyncio
import time
from collections.abc import Callable


class LoopClock:
    """Has the running loop's clock stand still in its block, but for when it is moved: no time-out is over.

    `asyncio.sleep` for any time does not return there, so what is waited for is waited for by `until`.
    """

    def __enter__(self) -> "LoopClock":
        self._loop = asyncio.get_running_loop()
        self._real, self._now = self._loop.time, self._loop.time()
        self._loop.time = lambda: self._now  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        real, ahead = self._real, self._now - self._real()
        self._loop.time = lambda: real() + ahead  # type: ignore[method-assign]

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
