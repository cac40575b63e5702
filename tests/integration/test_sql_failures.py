"""PostgreSQL that goes away, is slow or full: the core's errors, no stuck connections, nothing half done."""

import asyncio
import select
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from support.samples import NOW, OPERATOR, new_id
from support.work import until
from taskflow_core import (
    Contention,
    DeadlineExceeded,
    LedgerEntry,
    NewTask,
    NewUser,
    Origin,
    Status,
    TaskChange,
    TaskChanges,
    TaskQuery,
    Unavailable,
    UseCases,
)
from taskflow_core.ports.security import TokenClaims
from taskflow_memory import MemoryQueue
from taskflow_sqlalchemy import (
    SqlAlchemyIdentities,
    SqlAlchemyLedgerReads,
    SqlAlchemyReads,
    SqlAlchemyTransactions,
    inspect,
    open_engine,
    ping,
)
from taskflow_sqlalchemy.connections import PooledConnections
from taskflow_sqlalchemy.exchanges import Answer, NativeExchange
from taskflow_sqlalchemy.statements import Statement

END_ALL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'taskflow'
"""


LOCKS = """
    SELECT count(*) FROM pg_locks
    WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
WAITING = """
    SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)) AND NOT granted
"""
PATIENCE = 60.0
"""Seconds: longer than anything takes on a busy machine."""


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """One that nothing times out, nor frees what it holds."""
    engine = open_engine(database_url, pool_timeout=PATIENCE, statement_timeout=PATIENCE)
    yield engine
    await engine.dispose()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MARGIN", "CANCEL_WITHIN"):
        monkeypatch.setattr(f"taskflow_sqlalchemy.silence.{name}", PATIENCE)
    for asked in (ping, inspect):
        monkeypatch.setattr(asked, "__kwdefaults__", {"deadline": PATIENCE})


def opened_by(engine: AsyncEngine) -> list[psycopg.AsyncConnection[Any]]:
    """Return what holds all connections that it opens from now on."""
    opened: list[psycopg.AsyncConnection[Any]] = []
    event.listen(engine.sync_engine, "connect", lambda made, _: opened.append(made.driver_connection))
    return opened


async def end_all(database: psycopg.Connection[Any], opened: Sequence[psycopg.AsyncConnection[Any]]) -> None:
    """Have the server end them, and return once each has been told."""
    database.execute(END_ALL)
    await until(lambda: all(each.closed or _is_told(each) for each in opened))


def _is_told(connection: psycopg.AsyncConnection[Any]) -> bool:
    return bool(select.select([connection.fileno()], [], [], 0)[0])


async def waits(database: psycopg.Connection[Any]) -> None:
    """Return once somebody waits for what another has locked."""
    await until(lambda: database.execute(WAITING).fetchone() != (0,))


async def account(use_cases: UseCases) -> Any:
    new = NewUser(email="someone@example.com", name="Someone", password="password-of-someone")
    return await use_cases.create_user(new, OPERATOR)


async def test_connections_that_the_server_ended_cost_nobody_an_error(
    engine: AsyncEngine, use_cases: UseCases, database: psycopg.Connection[Any]
) -> None:
    opened = opened_by(engine)
    user = await account(use_cases)
    task = await use_cases.create_task(NewTask(title="a", user_id=user.id), OPERATOR)
    await asyncio.gather(*(use_cases.find_task(task.id, OPERATOR) for _ in range(20)))
    await end_all(database, opened)
    await use_cases.create_task(NewTask(title="b", user_id=user.id), OPERATOR)
    await asyncio.gather(*(use_cases.find_task(task.id, OPERATOR) for _ in range(20)))
    await end_all(database, opened)
    await use_cases.change_task(TaskChange(task.id, TaskChanges(status=Status.COMPLETED)), OPERATOR)


async def test_a_statement_past_its_deadline_is_stopped_and_the_connection_kept(
    database_url: str, database: psycopg.Connection[Any]
) -> None:
    engine = open_engine(database_url, pool_size=1, statement_timeout=0.2)
    opened = opened_by(engine)
    try:
        reads = SqlAlchemyReads(engine)

        async def read() -> None:
            # A server that is held up for so long stops any statement.
            with suppress(DeadlineExceeded):
                assert (await reads.tasks(TaskQuery(owner=None), (await _now(database)))).items == ()
                return
            await read()

        await read()
        kept = list(opened)
        with database.transaction():
            database.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(DeadlineExceeded):
                await reads.tasks(TaskQuery(owner=None), (await _now(database)))
        await read()
        assert opened == kept
    finally:
        await engine.dispose()


async def _now(database: psycopg.Connection[Any]) -> Any:
    row = database.execute("SELECT now()").fetchone()
    assert row is not None
    return row[0]


async def test_a_full_pool_is_unavailable_within_its_deadline(database_url: str) -> None:
    engine = open_engine(database_url, pool_size=1, pool_timeout=0.2)
    try:
        transactions = SqlAlchemyTransactions(engine)
        async with transactions() as holder:
            await holder.tasks.load([])
            with pytest.raises(Unavailable) as caught:
                await ping(engine)
        assert isinstance(caught.value.__cause__, TimeoutError)
        await ping(engine)
    finally:
        await engine.dispose()


async def test_a_request_that_is_cancelled_leaves_no_connection_behind(
    database_url: str, database: psycopg.Connection[Any]
) -> None:
    engine = open_engine(database_url, pool_size=1, statement_timeout=PATIENCE)
    try:
        reads = SqlAlchemyReads(engine)
        now = await _now(database)
        for _ in range(3):
            with database.transaction():
                database.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
                waiting = asyncio.create_task(reads.tasks(TaskQuery(owner=None), now))
                await waits(database)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
        async with asyncio.timeout(PATIENCE):
            assert (await reads.tasks(TaskQuery(owner=None), now)).items == ()
    finally:
        await engine.dispose()


async def test_a_connection_in_use_while_its_engine_is_disposed_is_closed_afterwards(
    engine: AsyncEngine,
) -> None:
    async with PooledConnections(engine)() as exchange:
        await engine.dispose()
        (answer,) = await exchange(("SELECT 1", {}))
        assert answer.rows == [(1,)]
    assert exchange.closed
    await ping(engine)


async def test_a_unit_that_is_cancelled_changes_nothing(
    use_cases: UseCases, database: psycopg.Connection[Any]
) -> None:
    user = await account(use_cases)
    task = await use_cases.create_task(NewTask(title="a", user_id=user.id), OPERATOR)
    change = TaskChange(task.id, TaskChanges(title="b"))
    with database.transaction():
        database.execute("SELECT * FROM tasks FOR UPDATE")
        waiting = asyncio.create_task(use_cases.change_task(change, OPERATOR))
        await waits(database)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert (await use_cases.find_task(task.id, OPERATOR)).title == "a"
    await until(lambda: database.execute(f"{LOCKS} AND mode = 'RowShareLock'").fetchone() == (0,))
    assert (await use_cases.change_task(change, OPERATOR)).title == "b"


async def test_a_deadlock_is_contention_and_the_unit_is_taken_back(
    use_cases: UseCases, database: psycopg.Connection[Any]
) -> None:
    """Only somebody outside TaskFlow, who locks tasks before owners, can bring it about."""
    user = await account(use_cases)
    task = await use_cases.create_task(NewTask(title="a", user_id=user.id), OPERATOR)
    database.execute("SET deadlock_timeout = '5s'")

    def lock_users() -> bool:
        with suppress(psycopg.errors.DeadlockDetected):
            database.execute("SELECT * FROM users FOR UPDATE")
            return True
        return False

    while True:
        before = (await use_cases.find_task(task.id, OPERATOR)).title
        change = TaskChange(task.id, TaskChanges(title=f"{before}b"))
        with database.transaction():
            database.execute("SELECT * FROM tasks FOR UPDATE")
            waiting = asyncio.create_task(use_cases.change_task(change, OPERATOR))
            await waits(database)
            if await asyncio.to_thread(lock_users):
                with pytest.raises(Contention):
                    await waiting
                break
        # Who waits looks for a deadlock once, after a second: there was none yet, and it was found here.
        await waiting
    assert (await use_cases.find_task(task.id, OPERATOR)).title == before


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/nothing"
    engine = open_engine(nowhere)

    async def unit() -> None:
        async with SqlAlchemyTransactions(engine)() as unit:
            await unit.users.load(new_id())

    async def identify() -> None:
        await SqlAlchemyIdentities(engine)(TokenClaims(new_id(), new_id()))

    async def ask() -> None:
        await SqlAlchemyReads(engine).credentials("a@b", Origin())

    for attempt in (ping(engine), ask(), unit(), identify(), inspect(nowhere)):
        with pytest.raises(Unavailable) as caught:
            await attempt
        # Whoever logs it has the reason.
        assert isinstance(caught.value.__cause__, psycopg.OperationalError)
    await engine.dispose()


@pytest.mark.parametrize("ending", ["rollback", "commit"])
async def test_a_connection_that_is_lost_in_a_unit_is_unavailable_and_says_why(
    engine: AsyncEngine, database: psycopg.Connection[Any], ending: str
) -> None:
    opened = opened_by(engine)

    async def lose() -> None:
        async with SqlAlchemyTransactions(engine)() as unit:
            await unit.users.load(new_id())
            await end_all(database, opened)
            if ending == "commit":
                await unit.commit()
            await unit.users.load(new_id())

    with pytest.raises(Unavailable) as caught:
        await lose()
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)


async def test_what_no_table_knows_is_a_fault_of_ours_and_stays_one(engine: Any) -> None:
    with pytest.raises(psycopg.DataError):
        await SqlAlchemyReads(engine).credentials("\0", Origin())


async def test_a_unit_that_is_cancelled_while_it_is_taken_back_leaves_its_place(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(database_url, pool_size=1, pool_timeout=0.5)
    transactions, stalled, run = SqlAlchemyTransactions(engine), asyncio.Event(), NativeExchange.__call__

    async def stalling(exchange: NativeExchange, *statements: Statement) -> list[Answer]:
        if statements[0][0] == "ROLLBACK":
            stalled.set()
            await asyncio.Event().wait()
        return await run(exchange, *statements)

    async def look() -> object:
        async with transactions() as unit:
            return await unit.users.load(new_id())

    monkeypatch.setattr(NativeExchange, "__call__", stalling)
    looking = asyncio.create_task(look())
    await stalled.wait()
    looking.cancel()
    await asyncio.wait([looking])
    assert looking.cancelled()
    monkeypatch.undo()
    assert await look() is None
    await engine.dispose()


async def test_a_queue_that_fails_makes_no_failure_of_what_was_committed(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(MemoryQueue):
        def hint(self, ids: Sequence[UUID]) -> None:
            raise OSError(f"no queue for {ids}")

    engine = open_engine(database_url)
    job = LedgerEntry.create(id=new_id(), kind="a.kind", now=NOW)
    async with SqlAlchemyTransactions(engine, Broken())() as unit:
        unit.ledger.add(job)
        await unit.commit()
    assert await SqlAlchemyLedgerReads(engine).job(job.id) is not None
    assert "hinting failed" in caplog.text
    await engine.dispose()
