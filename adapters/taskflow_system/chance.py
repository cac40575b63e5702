"""Chance, as the operating system seeds it."""

from __future__ import annotations

import random


class SystemChance:
    """Chooses at random (port `Chance`); no secret is made of it."""

    def __call__(self) -> float:
        """Return a number from 0 up to but not including 1."""
        # The module's own, which is seeded anew in a forked child.
        return random.random()  # noqa: S311 - it spreads tries over time
