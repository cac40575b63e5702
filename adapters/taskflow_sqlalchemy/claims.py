"""Background work that is given to workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskflow_sqlalchemy.connections import PooledConnections
from taskflow_sqlalchemy.ledger_repository import job_entry
from taskflow_sqlalchemy.ledger_statements import CLAIM

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncEngine

    from taskflow_core.ledger import LedgerEntry


class SqlAlchemyClaims:
    """Claims in one statement, which is a transaction (port `Claims`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._connections = PooledConnections(engine)

    async def __call__(
        self, hint: UUID | None, *, kinds: Collection[str], lease: timedelta
    ) -> LedgerEntry | None:
        """Claim an entry that is due."""
        parameters = {"hint": hint, "kinds": [str(kind) for kind in kinds], "lease": lease}
        async with self._connections() as exchange:
            (answer,) = await exchange((CLAIM, parameters))
        return job_entry(answer.rows[0]) if answer.rows else None
