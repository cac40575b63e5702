"""Rate limits of one process alone."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from taskflow_core.rate_limits import Decision, Limit, gcra

if TYPE_CHECKING:
    from collections.abc import Callable

SUBJECTS_MAX: Final = 20_000
"""Some 5 MB."""


class ProcessRateLimits:
    """Counts in this process (port `RateLimits`): several together let through several times as much.

    Of more subjects than are kept, the one that asked longest ago is forgotten, and has a whole burst again.

    Args:
        clock: Seconds that never go back.
        subjects: How many are kept.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, subjects: int = SUBJECTS_MAX) -> None:
        self._clock = clock
        self._began = clock()
        self._subjects = subjects
        self._arrivals: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def take(self, limit: Limit, subject: str, cost: int = 1) -> Decision:
        """Count a request, where it may pass."""
        key = (limit.name, subject)
        # Since it began: the smaller the number, the finer the fractions that a float has room for.
        now = self._clock() - self._began
        decision, arrival = gcra(limit, self._arrivals.get(key), now, cost)
        self._arrivals[key] = arrival
        self._arrivals.move_to_end(key)
        if len(self._arrivals) > self._subjects:
            self._arrivals.popitem(last=False)
        return decision
