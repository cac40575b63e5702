"""What is removed for good, in steps that wait for nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskflow_core.idempotency import KEPT_FOR
from taskflow_core.ledger import DEAD_KEPT, TASK_NOTICE_KINDS, JobKind
from taskflow_core.tasks import RESTORE_WITHIN
from taskflow_core.throttle import FORGOTTEN_AFTER
from taskflow_sqlalchemy.ledger_statements import (
    REMOVE_ATTEMPTS,
    REMOVE_DEAD,
    REMOVE_DELETED,
    REMOVE_DONE,
    REMOVE_KEYS,
    REMOVE_SESSIONS,
)
from taskflow_sqlalchemy.statements import PURGE_FORMER_EMAILS, PURGE_TASKS, PURGE_USERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskflow_sqlalchemy.task_repository import Unit

_REMOVALS: Final[Mapping[JobKind, tuple[str, timedelta]]] = {
    JobKind.CLEAN_SESSIONS: (REMOVE_SESSIONS, timedelta(days=180)),
    JobKind.CLEAN_KEYS: (REMOVE_KEYS, KEPT_FOR),
    JobKind.CLEAN_LEDGER: (REMOVE_DONE, timedelta(days=7)),
    JobKind.CLEAN_TASKS: (REMOVE_DELETED, RESTORE_WITHIN + timedelta(days=1)),
    JobKind.CLEAN_ATTEMPTS: (REMOVE_ATTEMPTS, FORGOTTEN_AFTER),
}
"""The statement, and how old something must be."""


class SqlAlchemyUpkeep:
    """Removes (port `Upkeep`)."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def remove(self, what: JobKind, *, limit: int) -> int:
        """Remove up to `limit` rows of what a clean-up job is for."""
        if what is JobKind.CLEAN_USERS:
            return await self._purge_users(limit)
        if what not in _REMOVALS:
            raise ValueError(f"{what} cleans nothing up")
        sql, kept = _REMOVALS[what]
        removed = await self._unit.run((sql, {"kept": kept, "limit": limit}))
        return removed + await self._remove_dead(limit - removed) if what is JobKind.CLEAN_LEDGER else removed

    async def _purge_users(self, limit: int) -> int:
        left = limit
        for sql in (PURGE_TASKS, PURGE_FORMER_EMAILS, PURGE_USERS):
            left -= await self._unit.run((sql, {"limit": left}))
        return limit - left

    async def _remove_dead(self, limit: int) -> int:
        parameters = {"kinds": sorted(TASK_NOTICE_KINDS), "kept": DEAD_KEPT, "limit": limit}
        return await self._unit.run((REMOVE_DEAD, parameters))
