"""Time, identity and chance: nothing in the core reads a clock, makes an id or throws dice by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> datetime:
        """Return the present time in UTC, aware, whole milliseconds (what a UUIDv7 can hold)."""
        ...


class Ids(Protocol):
    """Makes identifiers."""

    def __call__(self, now: datetime) -> UUID:
        """Return a new UUIDv7 (RFC 9562 section 5.7) of the time `now`.

        Within one process each is greater than those before it, even where `now` goes back.
        """
        ...


class Chance(Protocol):
    """Chooses at random."""

    def __call__(self) -> float:
        """Return a number from 0 up to but not including 1, each as likely as any other."""
        ...
