"""Questions about sessions and security events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskflow_core.queries import Page, Position
from taskflow_core.security_events import EventQuery, EventType, SecurityEvent
from taskflow_core.sessions import IDLE_LIFETIME, LIFETIME, SessionView
from taskflow_sqlalchemy.connections import Connections, PooledConnections, fetch_all
from taskflow_sqlalchemy.statements import EVENTS, SESSIONS_OF_USER

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncEngine

SESSIONS_MAX: Final = 100


class SqlAlchemySessionReads:
    """Questions about sessions and security events (port `SessionReads`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._connections: Connections = PooledConnections(engine)

    async def sessions(self, user_id: UUID) -> tuple[SessionView, ...]:
        """Return the live sessions of a user."""
        parameters = {"user_id": user_id, "idle": IDLE_LIFETIME, "lifetime": LIFETIME, "rows": SESSIONS_MAX}
        rows = await fetch_all(self._connections, SESSIONS_OF_USER, parameters)
        return tuple(SessionView(*row) for row in rows)

    async def events(self, query: EventQuery, now: datetime) -> Page[SecurityEvent]:
        """Return a page of events."""
        parameters = {
            "owner": query.owner, "type": str(query.type) if query.type else None,
            "after": query.after.id if query.after else None, "rows": query.limit + 1,
        }  # fmt: skip
        rows = await fetch_all(self._connections, EVENTS, parameters)
        items = tuple(
            SecurityEvent(id, EventType(kind), at, user_id, detail)
            for id, kind, at, user_id, detail in rows[: query.limit]
        )
        more = len(rows) > query.limit
        return Page(items, Position(None, items[-1].id, now) if more else None)
