"""Who asks: one question for all the requests of a moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from taskflow_core.sessions import IDLE_LIFETIME, LIFETIME, Identity
from taskflow_core.users import Role
from taskflow_sqlalchemy.connections import Connections, JoinedConnections, PooledConnections, fetch_all
from taskflow_sqlalchemy.statements import IDENTITIES

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection

    from taskflow_core.ports.security import TokenClaims

UNDER_WAY_MAX: Final = 2
"""Questions at a time. While they are under way, what arrives gathers for the next: the busier, the fewer."""


class SqlAlchemyIdentities:
    """Asks for sessions, roles and data versions (port `Identities`).

    Requests of the same tick of the event loop share a statement. None waits for an answer to a
    question that was put before it began.
    """

    def __init__(self, source: AsyncEngine | Connections) -> None:
        self._connections: Connections = (
            PooledConnections(source) if isinstance(source, AsyncEngine) else source
        )
        self._gathered: dict[UUID, list[asyncio.Future[Identity | None]]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._scheduled = False

    @classmethod
    def joined(cls, connection: AsyncConnection) -> SqlAlchemyIdentities:
        """Return what asks inside the transaction that the host has open on `connection`."""
        return cls(JoinedConnections(connection))

    async def __call__(self, claims: TokenClaims) -> Identity | None:
        """Return what holds of a session at this moment."""
        future: asyncio.Future[Identity | None] = asyncio.get_running_loop().create_future()
        self._gathered.setdefault(claims.session_id, []).append(future)
        self._schedule()
        identity = await future
        return identity if identity is not None and identity.user_id == claims.user_id else None

    def _schedule(self) -> None:
        if not self._scheduled and self._gathered and len(self._under_way) < UNDER_WAY_MAX:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._scheduled = False
        gathered = {
            session_id: waiting
            for session_id, futures in self._gathered.items()
            if (waiting := [future for future in futures if not future.done()])
        }
        self._gathered = {}
        if not gathered:
            return  # they have all given up
        task = asyncio.get_running_loop().create_task(self._ask(gathered))
        self._under_way.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._schedule()

    async def _ask(self, gathered: dict[UUID, list[asyncio.Future[Identity | None]]]) -> None:
        parameters = {"ids": list(gathered), "idle": IDLE_LIFETIME, "lifetime": LIFETIME}
        try:
            rows = await fetch_all(self._connections, IDENTITIES, parameters)
        except BaseException as error:
            # Whatever it is, those who wait must learn of it; none of them is let in.
            for futures in gathered.values():
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        found = {row[0]: _identity(row) for row in rows}
        for session_id, futures in gathered.items():
            for future in futures:
                if not future.done():
                    future.set_result(found.get(session_id))


def _identity(row: tuple[Any, ...]) -> Identity:
    session_id, user_id, role, data_version = row
    return Identity(session_id, user_id, _ROLES[role], data_version)


_ROLES: Final = {str(role): role for role in Role}
