"""Units of work on PostgreSQL.

What is added and saved is written by `commit` in one statement a kind, which is why a task is
created in one round trip, without BEGIN and COMMIT: one statement is a transaction. A change is
two round trips: BEGIN with the locks, then the write with COMMIT.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg

from taskflow_core.errors import InvalidCredentials, UnknownOwner
from taskflow_sqlalchemy.connections import Connections, JoinedConnections, PooledConnections
from taskflow_sqlalchemy.errors import raise_translated
from taskflow_sqlalchemy.session_repository import SqlAlchemyEvents, SqlAlchemySessions
from taskflow_sqlalchemy.task_repository import SqlAlchemyTasks
from taskflow_sqlalchemy.user_repository import SqlAlchemyUsers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from taskflow_sqlalchemy.exchanges import Answer, Exchange
    from taskflow_sqlalchemy.statements import Statement


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
            "ROLLBACK TO SAVEPOINT taskflow",
            "RELEASE SAVEPOINT taskflow",
        )


class _Unit:
    """The statements of one unit of work, on one connection.

    Apart from `SqlAlchemyTransaction`, so that its repositories can hold it without a cycle, which would keep
    all tasks of each unit until the garbage collector comes by.
    """

    __slots__ = ("_begin", "_end", "_exchange", "_lease", "_rollback", "autocommits", "begun")

    def __init__(self, connections: Connections, begin: str, commit: str, *rollback: str) -> None:
        self._lease = connections()
        self._begin: Statement = (begin, {})
        self._end: Statement = (commit, {})
        self._rollback: list[Statement] = [(statement, {}) for statement in rollback]
        self._exchange: Exchange | None = None
        self.autocommits = not connections.joins_host
        self.begun = False

    async def ask(self, *statements: Statement) -> list[list[tuple[Any, ...]]]:
        """Run statements inside this unit, in one round trip, and return the rows of each."""
        return [answer.rows for answer in await self.inside(statements)]

    async def run(self, statement: Statement) -> int:
        """Run a statement inside this unit; return how many rows it touched."""
        return (await self.inside([statement]))[-1].touched

    async def inside(self, statements: Sequence[Statement]) -> list[Answer]:
        """Run statements inside this unit, which begins with the first; return the answer to each."""
        sent = statements if self.begun else [self._begin, *statements]
        self.begun = True
        return (await self.alone(sent))[-len(statements) :]

    async def alone(self, statements: Sequence[Statement]) -> list[Answer]:
        """Run statements where things stand: before the beginning, each is a transaction of its own."""
        if self._exchange is None:
            self._exchange = await self._lease.__aenter__()
        try:
            return await self._exchange(*statements)
        except Exception as error:
            raise_translated(error)
            raise

    async def end(self, statements: Sequence[Statement]) -> None:
        """Run the last statements, and keep all of it."""
        await self.inside([*statements, self._end])
        self.begun = False

    async def leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take everything back unless it was kept, and give the connection back."""
        if self._exchange is None:
            return
        if self.begun and not self._exchange.closed:
            # One that cannot even be taken back is left in the midst of it, and so never used again.
            with suppress(psycopg.Error):
                await self._exchange(*self._rollback)
        await self._lease.__aexit__(kind, error, trace)


class SqlAlchemyTransaction:
    """One unit of work (port `Transaction`)."""

    def __init__(self, connections: Connections, begin: str, commit: str, *rollback: str) -> None:
        self._unit = _Unit(connections, begin, commit, *rollback)
        self.tasks = SqlAlchemyTasks(self._unit)
        self.users = SqlAlchemyUsers(self._unit)
        self.sessions = SqlAlchemySessions(self._unit)
        self.events = SqlAlchemyEvents()

    async def __aenter__(self) -> SqlAlchemyTransaction:
        """Enter; nothing is sent before the first question."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take everything back unless it was committed, and give the connection back."""
        await self._unit.leave(kind, error, trace)

    async def commit(self) -> None:
        """Write what was added and saved, and end: accounts first, as everywhere."""
        unit = self._unit
        # Whether these wrote what they should is known only after their trip.
        doubtful = [*self.users.written(), *self.sessions.opened(), *self.tasks.added()]
        certain = [*self.sessions.written(), *self.events.written(), *self.tasks.saved()]
        if len(doubtful) + len(certain) == 1 and not unit.begun and unit.autocommits:
            self._require_written(await unit.alone([*doubtful, *certain]))
            return
        if self.sessions.opens or self.tasks.adds:
            # So COMMIT cannot travel along.
            self._require_written(await unit.inside(doubtful))
            doubtful = []
        if doubtful or certain or unit.begun:
            await unit.end([*doubtful, *certain])

    def _require_written(self, answers: Sequence[Answer]) -> None:
        if self.tasks.adds and answers[-1].touched != self.tasks.adds:
            raise UnknownOwner
        before = 1 if self.tasks.adds else 0
        opened = answers[len(answers) - before - self.sessions.opens : len(answers) - before]
        if any(answer.touched != 1 for answer in opened):
            raise InvalidCredentials
