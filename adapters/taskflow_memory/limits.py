"""What counts tries and requests, in this process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskflow_core import Attempt
from taskflow_core.rate_limits import gcra
from taskflow_core.throttle import FORGOTTEN_AFTER, delay_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskflow_core import Decision, Limit
    from taskflow_memory.store import MemoryStore

_TIDIED_FROM: Final = 1_000


@dataclass(frozen=True, slots=True)
class MemoryLoginAttempts:
    """Counts tries to log in (port `LoginAttempts`). Subjects stay as they are: none leaves the process."""

    store: MemoryStore

    async def begin(self, subject: str) -> Attempt:
        """Count a try, unless it has to wait."""
        now = self.store.clock()
        number, tried_at = self.store.attempts.get(subject, (0, now))
        if now - tried_at > FORGOTTEN_AFTER:
            number = 0
        wait = tried_at + delay_after(number) - now
        if number and wait > timedelta():
            return Attempt(number, wait)
        self.store.attempts[subject] = (number + 1, now)
        return Attempt(number + 1, timedelta())

    async def succeeded(self, subject: str) -> None:
        """Forget the tries of a subject."""
        self.store.attempts.pop(subject, None)

    async def give_back(self, subject: str) -> None:
        """Take one try off the count."""
        number, tried_at = self.store.attempts.pop(subject, (0, self.store.clock()))
        if number > 1:
            self.store.attempts[subject] = (number - 1, tried_at)


class MemoryRateLimits:
    """Counts requests (port `RateLimits`), for this process alone.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._arrivals: dict[tuple[str, str], float] = {}
        self._tidied_from = _TIDIED_FROM

    async def take(self, limit: Limit, subject: str, cost: int = 1) -> Decision:
        """Count a request, where it may pass."""
        now, key = self._clock(), (limit.name, subject)
        decision, arrival = gcra(limit, self._arrivals.get(key), now, cost)
        if decision.allowed:
            self._arrivals[key] = arrival
            self._tidy(now)
        return decision

    def _tidy(self, now: float) -> None:
        """Forget whose burst is whole again, each time that their number has doubled."""
        if len(self._arrivals) >= self._tidied_from:
            self._arrivals = {key: arrival for key, arrival in self._arrivals.items() if arrival > now}
            self._tidied_from = max(_TIDIED_FROM, 2 * len(self._arrivals))
