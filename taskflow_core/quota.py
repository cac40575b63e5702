"""How much of the store one account may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

UNLIMITED: Final = 2**62
"""More than any account can have; small enough that a sum with it stays within 64 bits."""


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of one account; deleted tasks count until they are purged.

    Attributes:
        tasks: The number of tasks.
        bytes: The bytes of their titles and descriptions in UTF-8.
    """

    tasks: int = UNLIMITED
    bytes: int = UNLIMITED

    @classmethod
    def of(cls, tasks: int, size: int) -> Quota:
        """Return the quota with these limits; 0 means no limit."""
        return cls(tasks or UNLIMITED, size or UNLIMITED)

    def refuses(self, before: tuple[int, int], after: tuple[int, int]) -> bool:
        """Return whether tasks or bytes grow beyond their limit; what does not grow is never refused."""
        limits = (self.tasks, self.bytes)
        return any(new > max(old, most) for old, new, most in zip(before, after, limits, strict=True))


NO_QUOTA: Final = Quota()
"""Without limits."""
