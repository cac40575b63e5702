"""Units of work on PostgreSQL.

What is added and saved is written by `commit` in one statement a kind, which is why a task is
created in one round trip, without BEGIN and COMMIT: one statement is a transaction. A change is
two round trips: BEGIN with the locks, then the write with COMMIT.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import psycopg

from taskflow_core.errors import InvalidCredentials, LeaseLost, TaskFlowError, UnknownOwner
from taskflow_core.quota import NO_QUOTA, Quota
from taskflow_sqlalchemy.connections import Connections, JoinedConnections, PooledConnections
from taskflow_sqlalchemy.errors import raise_translated
from taskflow_sqlalchemy.ledger_repository import SqlAlchemyLedger, SqlAlchemySamples, SqlAlchemyScans
from taskflow_sqlalchemy.once import Key
from taskflow_sqlalchemy.session_repository import SqlAlchemyEvents, SqlAlchemySessions
from taskflow_sqlalchemy.task_repository import SqlAlchemyTasks
from taskflow_sqlalchemy.upkeep import SqlAlchemyUpkeep
from taskflow_sqlalchemy.user_repository import SqlAlchemyUsers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from taskflow_core.idempotency import Once
    from taskflow_core.ports.queue import Queue
    from taskflow_sqlalchemy.exchanges import Answer, Exchange
    from taskflow_sqlalchemy.statements import Statement

log: Final = logging.getLogger(__name__)

Hint: TypeAlias = "Callable[[Sequence[UUID]], None]"
"""Takes the ids of what there is to do."""


class SqlAlchemyTransactions:
    """Opens units of work on connections of an engine (port `Transactions`).

    Args:
        engine: See `open_engine`.
        queue: Is hinted after commits at what there is to do; None where workers find it by themselves.
        quota: What one account may keep; without limits by default.
    """

    def __init__(self, engine: AsyncEngine, queue: Queue | None = None, quota: Quota = NO_QUOTA) -> None:
        self._quota = quota
        self._connections: Connections = PooledConnections(engine)
        self._hint: Hint = _no_hint if queue is None else queue.hint

    @staticmethod
    def joined(
        connection: AsyncConnection, queue: Queue | None = None, quota: Quota = NO_QUOTA
    ) -> JoinedTransactions:
        """Return units of work inside the transaction that the host has open on `connection`.

        The host commits or rolls back. A unit left without `commit` takes back its own part only.
        """
        return JoinedTransactions(connection, queue, quota)

    def __call__(self, once: Once | None = None) -> SqlAlchemyTransaction:
        """Return a unit to enter. It takes a connection when it first needs one."""
        return SqlAlchemyTransaction(
            _Unit(self._connections, "BEGIN", "COMMIT", "ROLLBACK"), once, self._hint, self._quota
        )


class JoinedTransactions:
    """Opens units of work inside a host's transaction (port `Transactions`), each a savepoint."""

    def __init__(
        self, connection: AsyncConnection, queue: Queue | None = None, quota: Quota = NO_QUOTA
    ) -> None:
        self._quota = quota
        self._connections: Connections = JoinedConnections(connection)
        self._queue = queue
        self._hints: list[UUID] = []

    def __call__(self, once: Once | None = None) -> SqlAlchemyTransaction:
        """Return a unit to enter."""
        unit = _Unit(
            self._connections,
            "SAVEPOINT taskflow",
            "RELEASE SAVEPOINT taskflow",
            "ROLLBACK TO SAVEPOINT taskflow",
            "RELEASE SAVEPOINT taskflow",
        )
        return SqlAlchemyTransaction(unit, once, self._hints.extend, self._quota)

    async def after_commit(self) -> None:
        """Hint the queue at what there is to do, once the host has committed.

        Without this a scheduler finds it, some seconds later.
        """
        if self._queue is not None and self._hints:
            self._queue.hint(self._hints)
        self._hints = []


def _no_hint(ids: Sequence[UUID]) -> None:
    """Leave it to workers to find what is due."""


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
        answers = await self.inside(statements)
        self.require_primary()
        return [answer.rows for answer in answers]

    def require_primary(self) -> None:
        """Check that what was read came from the primary.

        Raises:
            Unavailable: The server takes no writes.
        """
        try:
            if self._exchange is not None:
                self._exchange.require_primary()
        except Exception as error:
            raise_translated(error)
            raise

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
        try:
            if self.begun and not self._exchange.closed:
                # One that cannot even be taken back is left in the midst of it, and so never used again.
                with suppress(psycopg.Error):
                    await self._exchange(*self._rollback)
        finally:
            # Also where this is cancelled: its place in the pool is others'.
            await self._lease.__aexit__(kind, error, trace)


class _Checked(NamedTuple):
    """A statement that must touch so many rows, or the unit is refused."""

    statement: Statement
    touched: int | None = None
    refusal: type[TaskFlowError] = TaskFlowError


class SqlAlchemyTransaction:
    """One unit of work (port `Transaction`)."""

    def __init__(self, unit: _Unit, once: Once | None, hint: Hint, quota: Quota) -> None:
        self._unit = unit
        self._key = Key(unit, once)
        self._hint = hint
        self.tasks = SqlAlchemyTasks(unit, quota)
        self.users = SqlAlchemyUsers(unit)
        self.sessions = SqlAlchemySessions(unit)
        self.events = SqlAlchemyEvents()
        self.ledger = SqlAlchemyLedger(unit)
        self.scans = SqlAlchemyScans(unit)
        self.upkeep = SqlAlchemyUpkeep(unit)
        self.samples = SqlAlchemySamples()

    async def __aenter__(self) -> SqlAlchemyTransaction:
        """Enter; but for a request that is to be done once, nothing is sent before the first question."""
        try:
            await self._key.take()
        except BaseException as error:
            await self._unit.leave(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take everything back unless it was committed, and give the connection back."""
        await self._unit.leave(kind, error, trace)

    def replay(self) -> None:
        """Raise `Replayed` where this request was answered before."""
        self._key.replay()

    async def flush(self) -> None:
        """Write the tasks that were saved so far, inside the unit."""
        await self.tasks.flush()

    async def commit(self, result: object = None) -> None:
        """Write what was added and saved, and end: accounts first, as everywhere."""
        self._key.replay()
        await self._write(self._key.kept(result))
        if self.ledger.hints:
            try:
                self._hint(self.ledger.hints)
            except Exception:
                # What is committed is committed, and found without a hint.
                log.exception("hinting failed")

    async def _write(self, kept: Sequence[Statement]) -> None:
        unit, checked, jobs = self._unit, self._checked(), self.ledger.added()
        certain = [
            *self.sessions.written(), *self.events.written(), *self.tasks.saved(), *self.samples.written(),
            *([] if self.tasks.adds else jobs), *self.ledger.written(), *self.scans.written(), *kept,
        ]  # fmt: skip
        if len(checked) + len(certain) == 1 and not unit.begun and unit.autocommits:
            answers = await unit.alone([*(check.statement for check in checked), *certain])
            _require_touched(checked, answers)
            return
        if any(check.touched is not None for check in checked):
            # So COMMIT cannot travel along.
            _require_touched(checked, await unit.inside([check.statement for check in checked]))
            checked = []
        if checked or certain or unit.begun:
            await unit.end([*(check.statement for check in checked), *certain])

    def _checked(self) -> list[_Checked]:
        """Return what comes first: whether most of it wrote what it should is known only after its trip."""
        return [
            *(_Checked(held, 1, LeaseLost) for held in self.ledger.held()),
            *(_Checked(written) for written in self.users.written()),
            *(_Checked(opened, 1, InvalidCredentials) for opened in self.sessions.opened()),
            *(
                _Checked(added, self.tasks.adds, UnknownOwner)
                for added in self.tasks.added(self.ledger.added())
            ),
        ]


def _require_touched(checked: Sequence[_Checked], answers: Sequence[Answer]) -> None:
    # A lone statement that is not checked has an answer too.
    for check, answer in zip(checked, answers, strict=False):
        if check.touched is not None and answer.touched != check.touched:
            raise check.refusal()
