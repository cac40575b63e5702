"""Chance, as the operating system seeds it."""

from __future__ import annotations

import random


class SystemChance:
    """Chooses at random (port `Chance`); no secret is made of it."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - it spreads tries over time

    def __call__(self) -> float:
        """Return a number from 0 up to but not including 1."""
        return self._random.random()
