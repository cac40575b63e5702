"""Jobs that tests have done by a worker, without a store."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from taskflow_core import LedgerEntry
from taskflow_core.use_cases.ledger.run import Outcome, Ran

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def an_entry(id: UUID | None = None) -> LedgerEntry:
    return LedgerEntry(
        id=id or uuid4(), kind="test.kind", subject=uuid4(), payload={}, created_at=NOW, run_at=NOW,
        tries=3, fence=3, request_id="request-1",
    )  # fmt: skip


@dataclass
class DueJobs:
    """Stands for `RunJob`: jobs that are due, each of which takes so many seconds.

    Attributes:
        asked: With which hint it was called, each time.
        most: How many ran at a time.
        go: Without it no job ends.
        error: Raised instead of asking the store, as long as it is set.
        given_back: Those that were cancelled.
    """

    due: list[UUID] = field(default_factory=list)
    seconds: float = 0.0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    asked: list[UUID | None] = field(default_factory=list)
    done: list[UUID] = field(default_factory=list)
    given_back: list[UUID] = field(default_factory=list)
    running: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.go.set()

    async def __call__(
        self,
        hint: UUID | None = None,
        *,
        bulkhead_size: int | None = None,
        tell: Callable[[Ran], None] = lambda _: None,
    ) -> Ran | None:
        assert bulkhead_size is not None
        self.asked.append(hint)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        if not self.due:
            return None
        job = hint if hint in self.due and hint is not None else self.due[0]
        self.due.remove(job)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.seconds)
            await self.go.wait()
        except asyncio.CancelledError:
            self.given_back.append(job)
            tell(Ran(an_entry(job), Outcome.GIVEN_BACK))
            raise
        finally:
            self.running -= 1
        self.done.append(job)
        return Ran(an_entry(job), Outcome.DONE)


async def until(holds: Callable[[], bool], seconds: float = 60.0) -> float:
    """Return how many seconds it took until that held."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it never came to hold"
        await asyncio.sleep(0.005)
    return time.monotonic() - began
