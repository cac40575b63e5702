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

from support.loop_clock import LoopClock
from support.samples import entry_of, new_session, new_task, new_user
from support.silent_wire import SilentWire, open_silent_wire
from support.wires import listening
from support.work import until
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
from taskflow_sqlalchemy.silence import CANCEL_WITHIN, MARGIN, Silent
from taskflow_sqlalchemy.statements import Statement

TIMEOUT = 60.0
"""Seconds: longer than anything takes on a busy machine. Deadlines are over by a clock that is moved."""
OVER = 20 * TIMEOUT


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


async def silence(world: World, clock: LoopClock, number: int = 1) -> None:
    """Have so many wait for an answer on what fell silent, for as long as they will."""
    await clock.until(lambda: len(world.wire.unheard) == number)
    await clock.move(OVER)


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
    with LoopClock() as clock:
        acting = asyncio.ensure_future(act(world))
        await silence(world, clock)
        with pytest.raises(Unavailable) as caught:
            await acting
        assert isinstance(caught.value.__cause__, Silent)
        # The two others of the pool are as silent: none is tried, or it would take for ever.
        for _ in range(4):
            await act(world)
    assert world.wire.opened > opened


async def test_everybody_in_the_midst_of_something_is_told_and_every_place_is_given_back(
    world: World,
) -> None:
    await idle(world.engine, 3)
    world.wire.fall_silent()
    with LoopClock() as clock:
        acting = asyncio.gather(*(world.read() for _ in range(3)), return_exceptions=True)
        await silence(world, clock, 3)
        assert [type(each) for each in await acting] == [Unavailable] * 3
        await asyncio.gather(*(world.read() for _ in range(9)))


@pytest.mark.parametrize("begun", [False, True])
async def test_who_is_cancelled_does_not_wait_for_a_silent_server(world: World, begun: bool) -> None:
    async def wait() -> None:
        async with SqlAlchemyTransactions(world.engine)() as unit:
            if begun:
                await unit.users.load(world.claims.user_id)
            world.wire.fall_silent()
            await unit.users.load(world.claims.user_id)

    await idle(world.engine, 1)
    with LoopClock() as clock:
        waiting = asyncio.create_task(wait())
        await clock.until(lambda: len(world.wire.unheard) == 1)
        waiting.cancel()
        # The server is told by another connection, which works, and does not answer on this one.
        heard = world.wire.opened
        await clock.until(lambda: world.wire.opened > heard)
        # The driver would wait for five.
        await clock.move(2 * CANCEL_WITHIN)
        await clock.until(waiting.done)
        assert waiting.cancelled()
    await ping(world.engine, deadline=TIMEOUT)


async def test_a_commit_that_is_not_answered_is_unavailable(
    world: World, database: psycopg.Connection[Any]
) -> None:
    async def commit() -> None:
        async with SqlAlchemyTransactions(world.engine)() as unit:
            user = await unit.users.load(world.claims.user_id)
            assert user is not None
            user.name = "Other"
            unit.users.save(user)
            world.wire.fall_silent()
            await unit.commit()

    with LoopClock() as clock:
        committing = asyncio.create_task(commit())
        await silence(world, clock)
        with pytest.raises(Unavailable) as caught:
            await committing
        assert isinstance(caught.value.__cause__, Silent)
        # What it held is held until PostgreSQL has waited for more long enough.
        database.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE state = 'idle in transaction' AND datname = current_database()"
        )
        await world.write()


async def test_statements_of_one_trip_have_their_deadlines_one_after_the_other(
    world: World, database: psycopg.Connection[Any]
) -> None:
    with LoopClock() as clock, closing(database):
        database.execute("SELECT pg_advisory_lock(1)")
        async with PooledConnections(world.engine)() as exchange:
            lock: Statement = ("SELECT pg_advisory_xact_lock(1)::text", {})
            waiting = asyncio.ensure_future(exchange(*[lock] * 8))
            await clock.until(lambda: waits(database))
            await clock.move(7.9 * TIMEOUT)
            assert not waiting.done()
            database.execute("SELECT pg_advisory_unlock(1)")
            assert len(await waiting) == 8
            assert not exchange.closed


def waits(database: psycopg.Connection[Any]) -> bool:
    """Whether somebody waits for what is locked here."""
    waiting = "SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    return database.execute(waiting).fetchone() != (0,)


async def test_who_waits_for_a_key_waits_longer_than_a_statement_may_take(
    world: World, database: psycopg.Connection[Any]
) -> None:
    owner = world.claims.user_id
    once = Once(owner, "key", b"f" * 32, lambda _: b"answer")
    taken = "INSERT INTO idempotency_keys (user_id, key, fingerprint, kept_at) VALUES (%s, 'key', 'f', now())"
    with database.transaction(), LoopClock() as clock:
        database.execute(taken, [owner])
        entering = asyncio.ensure_future(SqlAlchemyTransactions(world.engine)(once).__aenter__())
        await clock.until(lambda: waits(database))
        # By its own deadline the one statement that has it would have to be answered sooner.
        await clock.move(TIMEOUT + MARGIN + WAIT_FOR.total_seconds())
        assert not entering.done()
        with pytest.raises(RequestInProgress):
            await entering


async def test_without_a_statement_timeout_there_is_no_limit(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskflow_sqlalchemy.silence.MARGIN", 0.0)
    engine = open_engine(database_url, statement_timeout=0)
    assert await fetch_all(PooledConnections(engine), "SELECT pg_sleep(0.5)::text", {}) == [("",)]
    await engine.dispose()


async def test_a_server_that_is_slow_to_stop_is_not_taken_for_silent(
    database_url: str, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is cancelled before a statement's deadline learns nothing of the connections of others."""

    async def unheard(*_: object, **__: object) -> None:
        """Get lost on the way."""

    monkeypatch.setattr(psycopg.AsyncConnection, "cancel_safe", unheard)
    monkeypatch.setattr("taskflow_sqlalchemy.silence.CANCEL_WITHIN", 0.1)
    async with open_silent_wire(database_url) as wire:
        engine = open_engine(wire.url, pool_size=3, statement_timeout=TIMEOUT)
        await idle(engine, 3)
        async with PooledConnections(engine)() as exchange:
            waiting = asyncio.ensure_future(exchange(("SELECT pg_sleep(600)::text", {})))
            asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = %s"
            name = [database.info.dbname]
            await until(lambda: database.execute(asleep, name).fetchone() == (1,))
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
    monkeypatch.setattr("taskflow_sqlalchemy.addresses.CONNECT_TIMEOUT", 2)
    attempts = 0

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        with closing(writer):
            await asyncio.Event().wait()

    async with listening(mute) as port:
        engine = open_engine(f"postgresql://somebody@127.0.0.1:{port}/none?sslmode=disable")
        async with asyncio.timeout(TIMEOUT):
            with pytest.raises(Unavailable) as caught:
                await SqlAlchemyReads(engine).tasks(TaskQuery(owner=None), datetime.now(UTC))
            # The driver may give up before the server here has got to its turn.
            await until(lambda: attempts > 0)
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
    assert told["keepalives_idle"] == "77"  # what the URL says holds
