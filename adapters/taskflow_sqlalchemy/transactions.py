"""Units of work on PostgreSQL.

What is added and saved is written by `commit` in one statement a kind, which is why a task is
created in one round trip, without BEGIN and COMMIT: one statement is a transaction. A change is
two round trips: BEGIN with the locks, then the write with COMMIT.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

from taskflow_core.errors import InvalidCredentials, UnknownOwner
from taskflow_sqlalchemy.connections import Connections, Driver, JoinedConnections, PooledConnections
from taskflow_sqlalchemy.errors import raise_translated
from taskflow_sqlalchemy.session_repository import SqlAlchemyEvents, SqlAlchemySessions
from taskflow_sqlalchemy.task_repository import SqlAlchemyTasks
from taskflow_sqlalchemy.user_repository import SqlAlchemyUsers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from taskflow_sqlalchemy.statements import Statement

Cursor: TypeAlias = psycopg.AsyncCursor[tuple[Any, ...]]


class SqlAlchemyTransactions:
    """Opens units of work on connections of an engine (port `Transactions`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._connections: Connections = PooledConnections(engine)

    @staticmethod
    def joined(connection: AsyncConnection) -> JoinedTransactions:
        """Return units of work inside the transaction that the host has open on `connection`.

        The host commits or rolls back. A unit left without `commit` takes back its own part only.
        """
        return JoinedTransactions(connection)

    def __call__(self) -> SqlAlchemyTransaction:
        """Return a unit to enter. It takes a connection when it first needs one."""
        return SqlAlchemyTransaction(self._connections, "BEGIN", "COMMIT", "ROLLBACK")


class JoinedTransactions:
    """Opens units of work inside a host's transaction (port `Transactions`), each a savepoint."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connections: Connections = JoinedConnections(connection)

    def __call__(self) -> SqlAlchemyTransaction:
        """Return a unit to enter."""
        return SqlAlchemyTransaction(
            self._connections,
            "SAVEPOINT taskflow",
            "RELEASE SAVEPOINT taskflow",
            "ROLLBACK TO SAVEPOINT taskflow; RELEASE SAVEPOINT taskflow",
        )


class SqlAlchemyTransaction:
    """One unit of work (port `Transaction`)."""

    def __init__(self, connections: Connections, begin: str, commit: str, rollback: str) -> None:
        self._lease = connections()
        self._autocommits = not connections.joins_host
        self._begin: Statement = (begin, {})
        self._end: Statement = (commit, {})
        self._rollback = rollback
        self._driver: Driver | None = None
        self._begun = False
        self.tasks = SqlAlchemyTasks(self)
        self.users = SqlAlchemyUsers(self)
        self.sessions = SqlAlchemySessions(self)
        self.events = SqlAlchemyEvents()

    async def __aenter__(self) -> SqlAlchemyTransaction:
        """Enter; nothing is sent before the first question."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take everything back unless it was committed, and give the connection back."""
        if self._driver is None:
            return
        if self._begun and not self._driver.closed:
            # One that cannot even be taken back is left in the midst of it, and so never used again.
            with suppress(psycopg.Error):
                await self._driver.execute(self._rollback)
        await self._lease.__aexit__(kind, error, trace)

    async def ask(self, *statements: Statement) -> list[list[tuple[Any, ...]]]:
        """Run statements inside this unit, in one round trip, and return the rows of each."""
        return [await cursor.fetchall() for cursor in await self._inside(statements)]

    async def run(self, statement: Statement) -> int:
        """Run a statement inside this unit; return how many rows it touched."""
        return (await self._inside([statement]))[-1].rowcount

    async def commit(self) -> None:
        """Write what was added and saved, and end: accounts first, as everywhere."""
        # Whether these wrote what they should is known only after their trip.
        doubtful = [*self.users.written(), *self.sessions.opened(), *self.tasks.added()]
        certain = [*self.sessions.written(), *self.events.written(), *self.tasks.saved()]
        if len(doubtful) + len(certain) == 1 and not self._begun and self._autocommits:
            self._require_written(await self._pipeline([*doubtful, *certain]))
            return
        if self.sessions.opens or self.tasks.adds:
            # So COMMIT cannot travel along.
            self._require_written(await self._inside(doubtful))
            doubtful = []
        if doubtful or certain or self._begun:
            await self._inside([*doubtful, *certain, self._end])
            self._begun = False

    def _require_written(self, cursors: Sequence[Cursor]) -> None:
        if self.tasks.adds and cursors[-1].rowcount != self.tasks.adds:
            raise UnknownOwner
        before = 1 if self.tasks.adds else 0
        opened = cursors[len(cursors) - before - self.sessions.opens : len(cursors) - before]
        if any(cursor.rowcount != 1 for cursor in opened):
            raise InvalidCredentials

    async def _inside(self, statements: Sequence[Statement]) -> list[Cursor]:
        """Run statements inside this unit, which begins with the first; return the cursor of each."""
        sent = statements if self._begun else [self._begin, *statements]
        self._begun = True
        return (await self._pipeline(sent))[-len(statements) :]

    async def _pipeline(self, statements: Sequence[Statement]) -> list[Cursor]:
        if self._driver is None:
            self._driver = await self._lease.__aenter__()
        try:
            if len(statements) == 1:
                return [await _send(self._driver, statements[0])]
            async with self._driver.pipeline():
                return [await _send(self._driver, statement) for statement in statements]
        except Exception as error:
            raise_translated(error)
            raise


async def _send(driver: Driver, statement: Statement) -> Cursor:
    sql, parameters = statement
    return await driver.execute(sql, parameters or None, binary=True)
