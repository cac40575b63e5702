"""Keep background work going, whatever was killed or lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskflow_core.errors import Unavailable
from taskflow_core.use_cases.ledger.run import Ran

if TYPE_CHECKING:
    from taskflow_core.ports.persistence import Transaction, Transactions
    from taskflow_core.ports.queue import Queue
    from taskflow_core.ports.time import Chance

SCAN: Final = "reconcile"
EVERY: Final = timedelta(seconds=2)
EXPIRED_STEP: Final = 500
HINTS: Final = 100
"""So many entries are hinted at most, where fewer than that are in the queue."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was put right; true where anything was.

    Attributes:
        ended: The tries that workers left behind.
        hinted: How many jobs were hinted at.
    """

    ended: tuple[Ran, ...] = ()
    hinted: int = 0

    def __bool__(self) -> bool:
        """Return whether there was anything to do."""
        return bool(self.ended or self.hinted)


@dataclass(frozen=True, slots=True)
class Reconcile:
    """End the tries of workers that died, and hint again at what is due: hints may have been lost."""

    transactions: Transactions
    queue: Queue
    chance: Chance
    every: timedelta = EVERY

    async def __call__(self) -> Reconciled:
        """Return what was done: nothing, too, where it is not due or another is at it."""
        near_empty = await self._is_near_empty()
        async with self.transactions() as transaction:
            if not await transaction.scans.take(SCAN):
                return Reconciled()
            ended = await self._expire(transaction)
            due = await transaction.ledger.due(limit=HINTS) if near_empty else ()
            transaction.ledger.hint(due)
            transaction.scans.put_off(SCAN, timedelta() if len(ended) == EXPIRED_STEP else self.every)
            await transaction.commit()
        return Reconciled(ended, len(due))

    async def _is_near_empty(self) -> bool:
        # Asked before the transaction, which waits for nothing but its database.
        try:
            return await self.queue.waiting() < HINTS
        except Unavailable:
            return False

    async def _expire(self, transaction: Transaction) -> tuple[Ran, ...]:
        entries, now = await transaction.ledger.load_expired(limit=EXPIRED_STEP)
        ended = []
        for entry in entries:
            job = replace(entry)
            entry.expire(now, self.chance())
            transaction.ledger.save(entry)
            ended.append(Ran.ended(job, entry))
        return tuple(ended)
