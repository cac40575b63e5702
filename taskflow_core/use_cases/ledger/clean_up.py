"""Remove for good what nobody needs any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from taskflow_core.errors import DeadlineExceeded
from taskflow_core.ledger import LEASE, JobKind, LedgerEntry

if TYPE_CHECKING:
    from taskflow_core.ports.persistence import Transaction, Transactions
    from taskflow_core.ports.time import Clock, Ids
    from taskflow_core.use_cases.ledger.run import Effect

SCAN: Final = "clean_up"
EVERY: Final = timedelta(minutes=10)
STEP: Final = 500
"""Rows of one step: short enough to stand in nobody's way."""
STEPS: Final = 20
KINDS: Final = (
    JobKind.CLEAN_SESSIONS,
    JobKind.CLEAN_KEYS,
    JobKind.CLEAN_LEDGER,
    JobKind.CLEAN_TASKS,
    JobKind.CLEAN_USERS,
    JobKind.CLEAN_ATTEMPTS,
)


@dataclass(frozen=True, slots=True)
class ScheduleCleanUp:
    """Make the jobs that clean up, one of each kind at a time."""

    transactions: Transactions
    clock: Clock
    ids: Ids
    every: timedelta = EVERY

    async def __call__(self) -> bool:
        """Return whether it made any; False too where it is not due or another is at it."""
        async with self.transactions() as transaction:
            if not await transaction.scans.take(SCAN):
                return False
            unfinished = await transaction.ledger.unfinished(KINDS)
            now = self.clock()
            missing = [kind for kind in KINDS if kind not in unfinished]
            for kind in missing:
                transaction.ledger.add(LedgerEntry.create(id=self.ids(now), kind=kind, now=now))
            transaction.scans.put_off(SCAN, self.every)
            await transaction.commit()
        return bool(missing)


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Handles the jobs that clean up, in steps of a transaction each, which make the claim last longer.

    A worker that lost its claim removes nothing more. What is left after `steps` is another job's, so that no
    try takes long.

    What is removed may have any number of rows that go with it. A step that took too long is halved, and
    each further try begins with less, so that what is heavy goes one by one.
    """

    transactions: Transactions
    clock: Clock
    ids: Ids
    steps: int = STEPS

    async def __call__(self, job: LedgerEntry) -> Effect | None:
        """Remove what there is of the job's kind.

        Raises:
            LeaseLost: The job is another worker's.
            DeadlineExceeded: A single one takes too long.
        """
        # A try has no time for more than two steps that take too long.
        limit = max(STEP >> 2 * max(job.tries - 1, 0), 1)
        for _ in range(self.steps):
            try:
                removed = await self._step(job, limit)
            except DeadlineExceeded:
                if limit == 1:
                    raise
                limit //= 2
                continue
            if not removed:
                return None
        return partial(self._go_on, job.kind)

    async def _step(self, job: LedgerEntry, limit: int) -> int:
        async with self.transactions() as transaction:
            transaction.ledger.renew(job, LEASE)
            removed = await transaction.upkeep.remove(JobKind(job.kind), limit=limit)
            await transaction.commit()
        return removed

    async def _go_on(self, kind: str, transaction: Transaction) -> None:
        now = self.clock()
        transaction.ledger.add(LedgerEntry.create(id=self.ids(now), kind=kind, now=now))
