"""See which tasks fell overdue, and have their owners told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskflow_core.errors import DeadlineExceeded
from taskflow_core.ledger import TRIES

if TYPE_CHECKING:
    from taskflow_core.ports.persistence import Transactions
    from taskflow_core.ports.time import Clock, Ids

SCAN: Final = "overdue"
EVERY: Final = timedelta(seconds=1)
STEP: Final = 100
"""Tasks of one statement: short enough that who changes one of them meanwhile notices no wait."""
TOLD_KEPT: Final = 250
"""Due dates of one task that are remembered as told of, the last ones."""
_HINTS: Final = 16
"""So many workers are woken at most; each goes on until nothing is due."""


@dataclass(frozen=True, slots=True)
class NotifyOverdue:
    """Make a job for each task that fell overdue: one for each due date that it had and passed.

    A step that took too long is halved, so that no task keeps others from being told of.
    """

    transactions: Transactions
    clock: Clock
    ids: Ids
    every: timedelta = EVERY

    async def __call__(self) -> bool:
        """Return whether there were any; False too where it is not due or another is at it.

        Raises:
            DeadlineExceeded: A single one takes too long.
        """
        step = STEP
        while True:
            try:
                return await self._tell(step)
            except DeadlineExceeded:
                if step == 1:
                    raise
                step //= 2

    async def _tell(self, step: int) -> bool:
        now = self.clock()
        async with self.transactions() as transaction:
            if not await transaction.scans.take(SCAN):
                return False
            ids = [self.ids(now) for _ in range(step)]
            taken = await transaction.tasks.tell_overdue(ids, max_tries=TRIES)
            transaction.ledger.hint(taken[:_HINTS])
            transaction.scans.put_off(SCAN, timedelta() if len(taken) == step else self.every)
            await transaction.commit()
        return bool(taken)
