"""Questions about sessions and security events."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from sqlalchemy import Integer, Text, bindparam, select
from sqlalchemy.ext.asyncio import AsyncEngine

from taskflow_core.queries import Page, Position
from taskflow_core.security_events import EventQuery, EventType, SecurityEvent
from taskflow_core.sessions import IDLE_LIFETIME, LIFETIME, SessionView
from taskflow_sqlalchemy.connections import Connections, JoinedConnections, PooledConnections, fetch_all
from taskflow_sqlalchemy.statements import SESSIONS_OF_USER, compiled, newest_of
from taskflow_sqlalchemy.tables import security_events

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection

SESSIONS_MAX: Final = 100


class SqlAlchemySessionReads:
    """Questions about sessions and security events (port `SessionReads`)."""

    def __init__(self, source: AsyncEngine | Connections) -> None:
        self._connections: Connections = (
            PooledConnections(source) if isinstance(source, AsyncEngine) else source
        )

    @classmethod
    def joined(cls, connection: AsyncConnection) -> SqlAlchemySessionReads:
        """Return reads inside the transaction that the host has open on `connection`."""
        return cls(JoinedConnections(connection))

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
        sql = _list_events(
            owner=query.owner is not None, kind=query.type is not None, after=query.after is not None
        )
        rows = await fetch_all(self._connections, sql, parameters)
        items = tuple(
            SecurityEvent(id, EventType(kind), at, user_id, detail)
            for id, kind, at, user_id, detail in rows[: query.limit]
        )
        as_of = query.after.as_of if query.after else now
        return Page(items, Position(None, items[-1].id, as_of) if len(rows) > query.limit else None)


@cache
def _list_events(*, owner: bool, kind: bool, after: bool) -> str:
    """Return the statement for one page: only what is asked for stands in it, so an index can answer."""
    c = security_events.c
    statement, wanted_type = select(c.id, c.type, c.at, c.user_id, c.detail), bindparam("type", type_=Text)
    if kind and not owner:
        statement = newest_of(statement, c.type, wanted_type, c.id, after=after)
    else:
        wanted = (
            (owner, c.user_id == bindparam("owner")),
            (kind, c.type == wanted_type),
            (after, c.id < bindparam("after")),
        )
        statement = statement.where(*(condition for is_wanted, condition in wanted if is_wanted))
        statement = statement.order_by(c.id.desc())
    return compiled(statement.limit(bindparam("rows", type_=Integer)))
