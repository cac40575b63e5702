"""Waits until there is nothing left to do."""

from __future__ import annotations

import asyncio
import time
from typing import Final, NamedTuple

import psycopg

QUIET_FOR: Final = 3
"""So many times in a row there has to be nothing."""
_LEFT: Final = """
SELECT
  (SELECT count(*) FROM ledger WHERE state IN ('pending', 'running')),
  (SELECT count(*) FROM tasks
   WHERE deleted_at IS NULL AND status IN ('PENDING', 'IN_PROGRESS')
     AND due_date < now() + interval '1 minute' AND notified_due_date IS DISTINCT FROM due_date
     AND (due_date = ANY (told_due_dates)) IS NOT TRUE)
"""


class Left(NamedTuple):
    """Jobs that have not ended, and tasks of which nobody is to be told yet who should be (soon)."""

    jobs: int
    overdue: int


async def settle(database: str, patience: float) -> tuple[Left, float]:
    """Return what is left after so many seconds at most, and the seconds that it took."""
    begin, quiet, left = time.monotonic(), 0, Left(-1, -1)
    while quiet < QUIET_FOR and time.monotonic() - begin < patience:
        await asyncio.sleep(1)
        left = await asyncio.to_thread(_left, database)
        quiet = 0 if any(left) else quiet + 1
    return left, time.monotonic() - begin - quiet


def _left(database: str) -> Left:
    try:
        with psycopg.connect(database, connect_timeout=3) as connection:
            row = connection.execute(_LEFT).fetchone()
    except psycopg.OperationalError:
        return Left(-1, -1)
    assert row is not None
    return Left(*row)
