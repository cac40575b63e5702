"""Rate limits that hold while their store is away."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from taskflow_core.errors import Unavailable

if TYPE_CHECKING:
    from taskflow_core.ports.rate_limits import RateLimits
    from taskflow_core.rate_limits import Decision, Limit
    from taskflow_resilience.breaker import CircuitBreaker


class FallbackRateLimits:
    """Counts in a store that all processes share and, while it is away, in this process (port `RateLimits`).

    Nothing passes uncounted. The two do not tell each other what they counted: a store that goes away or
    comes back gives each subject another burst, no more.

    Args:
        primary: What all share.
        fallback: What never is away.
        breaker: Of the primary; it is told, and tells, whether that is there.
    """

    def __init__(self, primary: RateLimits, fallback: RateLimits, breaker: CircuitBreaker) -> None:
        self._primary = primary
        self._fallback = fallback
        self._breaker = breaker

    async def take(self, limit: Limit, subject: str, cost: int = 1) -> Decision:
        """Count a request, where it may pass."""
        try:
            return await self._breaker.call(partial(self._primary.take, limit, subject, cost))
        except Unavailable:
            return await self._fallback.take(limit, subject, cost)
