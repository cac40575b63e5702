"""Hints and notices that stay in this process: for tests, and for embedders who deal with them themselves."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from taskflow_core import Notice

HINTS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class MemoryQueue:
    """Carries hints (port `Queue`) to whoever pops them; the oldest are dropped where nobody does.

    Attributes:
        hints: Those that wait, the oldest first.
    """

    hints: deque[UUID] = field(default_factory=lambda: deque(maxlen=HINTS_MAX))

    def hint(self, ids: Sequence[UUID]) -> None:
        """Keep hints until they are popped."""
        self.hints.extend(ids)

    async def waiting(self) -> int:
        """Return how many hints wait."""
        return len(self.hints)

    def pop(self) -> UUID | None:
        """Take the oldest hint; None where there is none."""
        return self.hints.popleft() if self.hints else None


@dataclass(slots=True)
class MemoryNotifier:
    """Keeps what it is sent (port `Notifier`).

    Attributes:
        sent: Every notice, in the order they came; one that came twice stands twice.
        error: What `send` raises as long as it is set, instead of keeping anything.
    """

    sent: list[Notice] = field(default_factory=list)
    error: Exception | None = None

    async def send(self, notice: Notice) -> None:
        """Keep the notice."""
        if self.error is not None:
            raise self.error
        self.sent.append(notice)
