"""Keep background work going, whatever was killed or lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskflow_core.errors import Unavailable

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
class Reconcile:
    """End the tries of workers that died, and hint again at what is due: hints may have been lost."""

    transactions: Transactions
    queue: Queue
    chance: Chance
    every: timedelta = EVERY

    async def __call__(self) -> bool:
        """Return whether there was anything to do; False too where it is not due or another is at it."""
        near_empty = await self._is_near_empty()
        async with self.transactions() as transaction:
            if not await transaction.scans.take(SCAN):
                return False
            expired = await self._expire(transaction)
            due = await transaction.ledger.due(limit=HINTS) if near_empty else ()
            transaction.ledger.hint(due)
            transaction.scans.put_off(SCAN, timedelta() if expired == EXPIRED_STEP else self.every)
            await transaction.commit()
        return bool(expired or due)

    async def _is_near_empty(self) -> bool:
        # Asked before the transaction, which waits for nothing but its database.
        try:
            return await self.queue.waiting() < HINTS
        except Unavailable:
            return False

    async def _expire(self, transaction: Transaction) -> int:
        entries, now = await transaction.ledger.load_expired(limit=EXPIRED_STEP)
        for entry in entries:
            entry.expire(now, self.chance())
            transaction.ledger.save(entry)
        return len(entries)
