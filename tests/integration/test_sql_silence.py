"""A PostgreSQL that is not gone, but says nothing more on what is open: nobody waits for it for long."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg
from sqlalchemy.ext.asyncio import AsyncEngine

from support.samples import entry_of, new_session, new_task, new_user
from support.silent_wire import SilentWire, open_silent_wire
from support.wires import listening
from taskflow_core import Once, RequestInProgress, TaskQuery, Unavailable
from taskflow_core.idempotency import WAIT_FOR
from taskflow_core.ports.security import TokenClaims
from taskflow_sqlalchemy import (
    SqlAlchemyIdentities,
    SqlAlchemyReads,
    SqlAlchemyTransactions,
    inspect,
    open_engine,
    ping,
)
from taskflow_sqlalchemy.connections import PooledConnections, fetch_all
from taskflow_sqlalchemy.silence import MARGIN, Silent

TIMEOUT = 0.5
# Nothing here may come near it, however slow the machine; without a limit nothing would end at all.
HANGS = 30.0


@dataclass
class World:
    """What asks PostgreSQL through the wire."""

    wire: SilentWire
    engine: AsyncEngine
    claims: TokenClaims

    async def read(self) -> object:
        """Read a list."""
        return await SqlAlchemyReads(self.engine).tasks(TaskQuery(owner=None), datetime.now(UTC))

    async def write(self) -> None:
        """Run a unit of work whose first question goes out with BEGIN."""
        async with SqlAlchemyTransactions(self.engine)() as unit:
            user = await unit.users.load(self.claims.user_id)
            assert user is not None
            user.name = f"{user.name}x"
            unit.users.save(user)
            await unit.commit()

    async def create(self) -> None:
        """Run a unit of work that is a single statement."""
        async with SqlAlchemyTransactions(self.engine)() as unit:
            task = new_task(self.claims.user_id)
            unit.tasks.add(task, entry_of(task))
            await unit.commit()

    async def identify(self) -> None:
        """Ask who asks."""
        assert await SqlAlchemyIdentities(self.engine)(self.claims) is not None


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_silent_wire(database_url) as wire:
        engine = open_engine(wire.url, pool_size=3, statement_timeout=TIMEOUT)
        try:
            yield World(wire, engine, await signed_in(engine))
        finally:
            await engine.dispose()


async def signed_in(engine: AsyncEngine) -> TokenClaims:
    """Make an account with a session."""
    user, now = new_user(), datetime.now(UTC)
    session = new_session(user.id, created_at=now, last_used_at=now)
    async with SqlAlchemyTransactions(engine)() as unit:
        unit.users.add(user)
        await unit.commit()
    async with SqlAlchemyTransactions(engine)() as unit:
        unit.sessions.open(session, password_version=user.password_version)
        await unit.commit()
    return TokenClaims(user.id, session.id)


Act = Callable[[World], Awaitable[object]]
ACTS = pytest.mark.parametrize("act", [World.read, World.write, World.create, World.identify])


async def idle(engine: AsyncEngine, number: int) -> None:
    """Have the pool hold so many connections."""
    connections = PooledConnections(engine)
    leases = [connections() for _ in range(number)]
    for lease in leases:
        await lease.__aenter__()
    for lease in leases:
        await lease.__aexit__(None, None, None)


@ACTS
async def test_silence_is_unavailable_once_and_the_next_attempt_works(world: World, act: Act) -> None:
    await idle(world.engine, 3)
    opened = world.wire.opened
    world.wire.fall_silent()
    async with asyncio.timeout(HANGS):
        with pytest.raises(Unavailable) as caught:
            await act(world)
        assert isinstance(caught.value.__cause__, Silent)
        # The two others of the pool are as silent: none is tried.
        for _ in range(4):
            await act(world)
    assert world.wire.opened > opened


async def test_everybody_in_the_midst_of_something_is_told_and_every_place_is_given_back(
    world: World,
) -> None:
    await idle(world.engine, 3)
    world.wire.fall_silent()
    async with asyncio.timeout(HANGS):
        told = await asyncio.gather(*(world.read() for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in told] == [Unavailable] * 3
        await asyncio.gather(*(world.read() for _ in range(9)))


@pytest.mark.parametrize("begun", [False, True])
async def test_who_is_cancelled_does_not_wait_for_a_silent_server(
    world: World, begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskflow_sqlalchemy.silence.MARGIN", 2 * HANGS)
    monkeypatch.setattr("taskflow_sqlalchemy.silence.CANCEL_WITHIN", 0.05)

    async def wait() -> None:
        async with SqlAlchemyTransactions(world.engine)() as unit:
            if begun:
                await unit.users.load(world.claims.user_id)
            world.wire.fall_silent()
            await unit.users.load(world.claims.user_id)

    waiting = asyncio.create_task(wait())
    await idle(world.engine, 1)
    await asyncio.sleep(0.3)
    waiting.cancel()
    # The driver would wait for five.
    await asyncio.wait([waiting], timeout=4)
    assert waiting.cancelled()
    async with asyncio.timeout(HANGS):
        await ping(world.engine, deadline=HANGS)


async def test_a_commit_that_is_not_answered_is_unavailable(world: World) -> None:
    async def commit() -> None:
        async with SqlAlchemyTransactions(world.engine)() as unit:
            user = await unit.users.load(world.claims.user_id)
            assert user is not None
            user.name = "Other"
            unit.users.save(user)
            world.wire.fall_silent()
            await unit.commit()

    async with asyncio.timeout(HANGS):
        with pytest.raises(Unavailable) as caught:
            await commit()
        assert isinstance(caught.value.__cause__, Silent)
        await world.write()


async def test_statements_of_one_trip_have_their_deadlines_one_after_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskflow_sqlalchemy.silence.MARGIN", 0.1)
    async with asyncio.timeout(HANGS), PooledConnections(world.engine)() as exchange:
        answers = await exchange(*[("SELECT pg_sleep(0.15)::text", {})] * 8)
    assert len(answers) == 8
    assert not exchange.closed


async def test_who_waits_for_a_key_waits_longer_than_a_statement_may_take(
    world: World, database: psycopg.Connection[Any]
) -> None:
    owner = world.claims.user_id
    once = Once(owner, "key", b"f" * 32, lambda _: b"answer")
    taken = "INSERT INTO idempotency_keys (user_id, key, fingerprint, kept_at) VALUES (%s, 'key', 'f', now())"
    # By their own deadlines all statements of the trip would have to be answered sooner.
    assert WAIT_FOR.total_seconds() > 4 * TIMEOUT + MARGIN
    with database.transaction():
        database.execute(taken, [owner])
        async with asyncio.timeout(HANGS):
            with pytest.raises(RequestInProgress):
                await SqlAlchemyTransactions(world.engine)(once).__aenter__()


async def test_without_a_statement_timeout_there_is_no_limit(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskflow_sqlalchemy.silence.MARGIN", 0.0)
    engine = open_engine(database_url, statement_timeout=0)
    assert await fetch_all(PooledConnections(engine), "SELECT pg_sleep(0.5)::text", {}) == [("",)]
    await engine.dispose()


async def test_a_server_that_is_slow_to_stop_is_not_taken_for_silent(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is cancelled before a statement's deadline learns nothing of the connections of others."""

    async def unheard(*_: object, **__: object) -> None:
        """Get lost on the way."""

    monkeypatch.setattr(psycopg.AsyncConnection, "cancel_safe", unheard)
    monkeypatch.setattr("taskflow_sqlalchemy.silence.CANCEL_WITHIN", 0.1)
    async with open_silent_wire(database_url) as wire:
        engine = open_engine(wire.url, pool_size=3, statement_timeout=HANGS)
        await idle(engine, 3)
        async with asyncio.timeout(HANGS):
            async with PooledConnections(engine)() as exchange:
                waiting = asyncio.ensure_future(exchange(("SELECT pg_sleep(60)::text", {})))
                await asyncio.sleep(0.1)
                waiting.cancel()
                await asyncio.wait([waiting])
                assert waiting.cancelled()
                assert exchange.closed
            await idle(engine, 2)
        assert wire.opened == 3
        await engine.dispose()


async def test_a_connection_attempt_that_is_not_answered_is_not_made_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("taskflow_sqlalchemy.connections.CONNECT_TIMEOUT", 2)
    attempts = 0

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        with closing(writer):
            await asyncio.Event().wait()

    async with listening(mute) as port:
        engine = open_engine(f"postgresql://somebody@127.0.0.1:{port}/none?sslmode=disable")
        async with asyncio.timeout(HANGS):
            with pytest.raises(Unavailable) as caught:
                await SqlAlchemyReads(engine).tasks(TaskQuery(owner=None), datetime.now(UTC))
            assert attempts == 1
            with pytest.raises(Unavailable):
                await inspect(f"postgresql://somebody@127.0.0.1:{port}/none", deadline=0.5)
        await engine.dispose()
    assert isinstance(caught.value.__cause__, pg.ConnectionTimeout)


def test_the_system_is_told_to_notice_that_the_other_end_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    monkeypatch.setattr(
        "taskflow_sqlalchemy.connections.create_async_engine", lambda _, **more: given.update(more)
    )
    open_engine("postgresql://somebody@somewhere/something?keepalives_idle=77")
    told = given["connect_args"]
    assert isinstance(told, dict)
    assert {"keepalives", "keepalives_interval", "keepalives_count", "tcp_user_timeout"} <= told.keys()
    assert "keepalives_idle" not in told  # what the URL says holds
