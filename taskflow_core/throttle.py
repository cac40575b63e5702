"""The growing delay that failed log-ins put on an account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

FREE_FAILURES: Final = 5
"""How many in a row cost nothing: people mistype."""
LONGEST_DELAY: Final = timedelta(minutes=5)
"""Of one wait: a failure after it begins the next, so an attacker who goes on can renew it."""
FORGOTTEN_AFTER: Final = timedelta(hours=24)
"""After so long without a try the count begins anew."""


def delay_after(failures: int) -> timedelta:
    """Return how long the next try must wait after so many failures in a row: 1 s, 2 s, 4 s, to 5 minutes."""
    if failures < FREE_FAILURES:
        return timedelta()
    doublings = min(failures - FREE_FAILURES, 16)
    return min(timedelta(seconds=2**doublings), LONGEST_DELAY)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a try to log in is told.

    Attributes:
        number: Which try in a row this is since the last that succeeded, from 1.
        wait: How long it has to wait first; zero where it may go on (and is counted).
    """

    number: int
    wait: timedelta
