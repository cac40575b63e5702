"""Time and identity: nothing in the core reads a clock or makes an id by itself."""

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
