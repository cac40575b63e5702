"""Rate limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskflow_core.rate_limits import Decision, Limit


class RateLimits(Protocol):
    """Counts requests by who makes them."""

    async def take(self, limit: Limit, subject: str, cost: int = 1) -> Decision:
        """Count a request of `subject` against a limit, where it may pass; one that may not costs nothing.

        Never more than the burst and what the elapsed time gives back pass, over all instances that share
        the store. A store that lost what it held counts from a whole burst again.

        Raises:
            Unavailable: The store cannot be reached within its deadline.
        """
        ...
