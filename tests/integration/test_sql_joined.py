"""TaskFlow inside a host's transaction: both are kept or neither."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from support.samples import (
    NOW,
    OPERATOR,
    entry_of,
    new_event,
    new_id,
    new_session,
    new_task,
    new_user,
)
from taskflow_core import Contention, EventQuery, InvalidCredentials, Once, Origin, Replayed, TaskChanges
from taskflow_sqlalchemy import (
    SqlAlchemyReads,
    SqlAlchemySessionReads,
    SqlAlchemyTransactions,
    driver_url,
)


@pytest.fixture
async def host(database_url: str) -> AsyncIterator[AsyncEngine]:
    host = create_async_engine(driver_url(database_url))
    async with host.begin() as connection:
        await connection.execute(text("CREATE TABLE orders (id int PRIMARY KEY)"))
    yield host
    await host.dispose()


async def add_both(connection: AsyncConnection) -> tuple[UUID, UUID]:
    user = new_user()
    task = new_task(user.id)
    await connection.execute(text("INSERT INTO orders VALUES (1)"))
    async with SqlAlchemyTransactions.joined(connection)() as unit:
        unit.users.add(user)
        unit.tasks.add(task, entry_of(task))
        await unit.commit()
    assert await SqlAlchemyReads.joined(connection).task(task.id, owner=user.id)
    return user.id, task.id


async def orders(host: AsyncEngine) -> int:
    async with host.connect() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM orders"))).scalar_one())


async def test_both_are_kept(host: AsyncEngine, engine: AsyncEngine) -> None:
    async with host.begin() as connection:
        _, task = await add_both(connection)
        assert await SqlAlchemyReads(engine).task(task, owner=None) is None
    assert await SqlAlchemyReads(engine).task(task, owner=None) is not None
    assert await orders(host) == 1


async def test_both_are_taken_back(host: AsyncEngine, engine: AsyncEngine) -> None:
    async with host.connect() as connection, connection.begin() as transaction:
        user, task = await add_both(connection)
        await transaction.rollback()
    assert await SqlAlchemyReads(engine).task(task, owner=None) is None
    assert await SqlAlchemyReads(engine).user(user) is None
    assert await orders(host) == 0


async def test_a_unit_left_without_commit_takes_back_its_own_part_only(
    host: AsyncEngine, engine: AsyncEngine
) -> None:
    async with host.begin() as connection:
        _, task_id = await add_both(connection)
        transactions = SqlAlchemyTransactions.joined(connection)
        async with transactions() as unit:
            task = (await unit.tasks.load([task_id]))[task_id]
            entry = task.change(TaskChanges(title="lost"), entry_id=new_id(), actor=OPERATOR, now=NOW)
            assert entry is not None
            unit.tasks.save(task, entry)
        async with transactions() as unit:
            assert (await unit.tasks.load([task_id]))[task_id].title != "lost"
    assert await SqlAlchemyReads(engine).task(task_id, owner=None) is not None
    assert await orders(host) == 1


async def test_a_statement_that_fails_leaves_the_hosts_transaction_usable(host: AsyncEngine) -> None:
    async with host.begin() as connection:
        user_id, _ = await add_both(connection)
        double = new_user(id=user_id)
        async with SqlAlchemyTransactions.joined(connection)() as unit:
            unit.users.add(double)
            with pytest.raises(Contention):
                await unit.commit()
        await connection.execute(text("INSERT INTO orders VALUES (2)"))
    assert await orders(host) == 2


@pytest.mark.parametrize("kept", [True, False])
async def test_an_account_with_its_session_is_kept_or_taken_back_with_the_hosts(
    host: AsyncEngine, engine: AsyncEngine, *, kept: bool
) -> None:
    user = new_user()
    session, event = new_session(user.id), new_event(user.id)
    async with host.connect() as connection, connection.begin() as transaction:
        async with SqlAlchemyTransactions.joined(connection)() as unit:
            unit.users.add(user)
            unit.sessions.open(session, password_version=1)
            unit.events.add(event)
            await unit.commit()
        async with SqlAlchemyTransactions.joined(connection)() as unit:
            assert await unit.sessions.load(session.id)
        await (transaction.commit() if kept else transaction.rollback())
    async with SqlAlchemyTransactions(engine)() as unit:
        assert (await unit.sessions.load(session.id) is not None) is kept
    page = await SqlAlchemySessionReads(engine).events(EventQuery(owner=user.id), NOW)
    assert page.items == ((event,) if kept else ())


async def test_a_session_that_is_refused_leaves_the_hosts_transaction_usable(host: AsyncEngine) -> None:
    async with host.begin() as connection:
        user_id, _ = await add_both(connection)
        refused, fine = new_session(user_id), new_session(user_id)
        async with SqlAlchemyTransactions.joined(connection)() as unit:
            unit.sessions.open(refused, password_version=2)
            with pytest.raises(InvalidCredentials):
                await unit.commit()
        async with SqlAlchemyTransactions.joined(connection)() as unit:
            unit.sessions.open(fine, password_version=1)
            await unit.commit()
        async with SqlAlchemyTransactions.joined(connection)() as unit:
            assert await unit.sessions.load(refused.id) is None
            assert await unit.sessions.load(fine.id) is not None
        await connection.execute(text("INSERT INTO orders VALUES (2)"))
    assert await orders(host) == 2


async def test_a_connection_without_a_transaction_is_refused(host: AsyncEngine) -> None:
    async with host.connect() as connection:
        with pytest.raises(RuntimeError, match="Open a transaction"):
            await SqlAlchemyReads.joined(connection).credentials("a@b", Origin())


async def test_a_connection_in_autocommit_is_refused(host: AsyncEngine) -> None:
    async with host.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        async with connection.begin():
            with pytest.raises(RuntimeError, match="AUTOCOMMIT"):
                await SqlAlchemyReads.joined(connection).task(new_id(), owner=None)


async def test_a_request_that_is_done_once_leaves_the_hosts_time_outs_as_they_were(host: AsyncEngine) -> None:
    user = new_user()
    async with host.connect() as connection:
        await connection.execute(text("SET statement_timeout = '60s'"))
        await connection.commit()
        async with connection.begin():
            await connection.execute(text("SET LOCAL lock_timeout = '700ms'"))
            transactions = SqlAlchemyTransactions.joined(connection)
            async with transactions() as unit:
                unit.users.add(user)
                await unit.commit()
            async with transactions(Once(user.id, "key", b"print", lambda _: b"answer")) as unit:
                await unit.commit()
            named = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
            assert (await connection.execute(text(named))).one() == ("700ms", "1min")
            with pytest.raises(Replayed):
                async with transactions(Once(user.id, "key", b"print", lambda _: b"another")) as unit:
                    await unit.commit()
