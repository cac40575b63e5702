"""Rates, and the algorithm that keeps them: GCRA, a leaky bucket as one number (ITU-T I.371)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_ROUNDING: Final = 1e-6
"""Seconds; more than adding up a thousand intervals loses, on a machine that has run for a year."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so long. 5/minute is a burst of 5, then one every 12 s.

    Attributes:
        count: How many.
        seconds: In how long.
    """

    count: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Return the rate that `5/minute` (second, minute, hour, day) says.

        Raises:
            ValueError: It says none.
        """
        count, slash, unit = text.strip().partition("/")
        if not slash or unit not in UNITS or not count.isascii() or not count.isdigit() or not int(count):
            raise ValueError(f"must be a count and one of {', '.join(UNITS)}, such as 5/minute")
        return cls(int(count), UNITS[unit])

    @property
    def interval(self) -> float:
        """Seconds between two once the burst is spent."""
        return self.seconds / self.count


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate for a class of requests.

    Attributes:
        name: Of the class, as clients read it.
    """

    name: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request may pass.

    Attributes:
        remaining: How many more may pass at once.
        reset_after: Seconds until the whole burst is there again.
        retry_after: Seconds until this request could pass; zero where it passed.
    """

    allowed: bool
    limit: Limit
    remaining: int
    reset_after: float
    retry_after: float


def gcra(limit: Limit, arrival: float | None, now: float, cost: int) -> tuple[Decision, float]:
    """Return whether `cost` requests may pass now, and the new theoretical arrival time.

    Args:
        limit: The rate.
        arrival: The theoretical arrival time kept from before, in seconds; None at the first.
        now: Seconds by the same clock, one that counts from the machine's start or so: what a float
            keeps of the seconds since 1970 is too coarse.
        cost: How many requests this one counts for. One that costs more than the burst counts for the
            whole burst: it could never pass otherwise.
    """
    interval, burst = limit.rate.interval, float(limit.rate.seconds)
    charge = min(cost * interval, burst)
    # Never further ahead than a whole burst, whatever clock wrote it.
    before = min(max(arrival or now, now), now + burst)
    allowed_at = before + charge - burst
    allowed = allowed_at <= now + _ROUNDING
    after = before + charge if allowed else before
    ahead = after - now
    remaining = max(0, math.floor((burst - ahead + _ROUNDING) / interval))
    return Decision(allowed, limit, remaining, max(ahead, 0.0), max(allowed_at - now, 0.0)), after
