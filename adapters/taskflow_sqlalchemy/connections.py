"""The one door to PostgreSQL: engines, and connections taken from them or given by a host.

Statements are written in SQLAlchemy Core, compiled once, and run on the driver's connection of
the same engine and pool (`taskflow_sqlalchemy.exchanges`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors as pg
from psycopg.pq import TransactionStatus
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import greenlet_spawn

from taskflow_core.errors import Unavailable
from taskflow_sqlalchemy.addresses import connection_parameters
from taskflow_sqlalchemy.errors import raise_translated
from taskflow_sqlalchemy.exchanges import CursorExchange, Demoted, Driver, Exchange, NativeExchange
from taskflow_sqlalchemy.silence import Silent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from sqlalchemy.engine import URL
    from sqlalchemy.pool import Pool, PoolProxiedConnection

DRIVER: Final = "postgresql+psycopg://"
"""For SQLAlchemy; where to connect stands in `connect_args`, since libpq alone parses the database's URL."""
log: Final = logging.getLogger(__name__)
_EXCHANGE: Final = "taskflow exchange"
_STATEMENT_TIMEOUT: Final = "taskflow_statement_timeout"
_OPEN_WITHIN: Final = 30.0
"""Seconds for a connection to one of several hosts, and for what SQLAlchemy asks on an engine's first."""


def driver_url(url: str) -> URL:
    """Return `url` (`postgresql://…`) as SQLAlchemy takes it, for engines of a host's own.

    Raises:
        ValueError: It is not the URL of a PostgreSQL database.
    """
    try:
        parsed = make_url(url)
    except Exception as error:
        raise ValueError("is not a database URL") from error
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError("must begin with postgresql://")
    return parsed.set(drivername="postgresql+psycopg")


def open_engine(
    url: str, *, pool_size: int = 10, pool_timeout: float = 3.0, statement_timeout: float = 5.0
) -> AsyncEngine:
    """Return an engine for TaskFlow's statements; it connects when first asked.

    Args:
        url: As libpq takes it, `postgresql://user:password@host/database`.
        pool_size: Connections kept, and the most that are open.
        pool_timeout: Seconds to wait for a free one, then `Unavailable`.
        statement_timeout: Seconds that one statement may take, then `DeadlineExceeded`. A server that says
            nothing for so long and two more is given up, with `Unavailable`. 0 is without end, both.

    Raises:
        ValueError: See `taskflow_sqlalchemy.addresses`.
    """
    milliseconds = round(statement_timeout * 1000)
    settings = {
        "statement_timeout": str(milliseconds),
        # Longer than any unit of work waits for its own next statement; frees what a stalled process holds.
        "idle_in_transaction_session_timeout": str(milliseconds * 2),
    }
    # Statements are written such that one plan is right for all values, however many rows an owner
    # has; planning anew for each would take longer than running them (a change: 490 us against 240).
    defaults = {"plan_cache_mode": "force_generic_plan"}
    return create_async_engine(
        DRIVER,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout,
        # A connection's health is seen by `_alive` without a round trip, and units of work clean up
        # after themselves: pre-ping and reset would double the cost of a read.
        pool_pre_ping=False,
        pool_reset_on_return=None,
        # Else the first connection opens a transaction of its own to ask whether there is such a type.
        use_native_hstore=False,
        isolation_level="AUTOCOMMIT",
        execution_options={_STATEMENT_TIMEOUT: statement_timeout or None},
        connect_args=connection_parameters(url, settings, defaults),
    )


class Lease(Protocol):
    """A connection to enter and leave; the driver's errors leave the block as the core's."""

    async def __aenter__(self) -> Exchange: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Connections(Protocol):
    """Where driver connections come from."""

    @property
    def joins_host(self) -> bool:
        """Whether they are inside a transaction that a host opened and will end."""
        ...

    def __call__(self) -> Lease:
        """Return a connection to enter."""
        ...


class _Gate:
    """First come, first served, as many at a time as the pool has connections; what is known of all of them.

    SQLAlchemy's pool gives a connection that comes back to whoever asks next, which need not be the
    one who waited longest: with more clients than connections some waited until their time-out.

    Attributes:
        statement_timeout: The connections' own, in seconds, where it is known.
        retired_at: When a server last fell silent or proved not to be the primary. Connections that have not
            answered since lead to the same server, most likely, and are closed.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        pool = engine.pool
        if not isinstance(pool, QueuePool):
            raise TypeError("TaskFlow needs an engine whose pool has a size, such as `open_engine` returns.")
        self._size = pool.size()
        self._timeout = pool.timeout()
        self.statement_timeout: float | None = engine.get_execution_options().get(_STATEMENT_TIMEOUT)
        self.reset()

    def reset(self) -> None:
        """Forget who is inside."""
        self._places = asyncio.Semaphore(self._size)
        self.retired_at = 0.0
        self._away = False

    async def enter(self) -> None:
        """Wait for a place.

        Raises:
            TimeoutError: There was none within the pool's time-out.
        """
        if self._places.locked():
            async with asyncio.timeout(self._timeout):
                await self._places.acquire()
        else:
            await self._places.acquire()

    def lost(self, error: Exception) -> None:
        """Log once that no primary is reached."""
        if not self._away:
            self._away = True
            log.warning("PostgreSQL is away: no primary answers (%s)", type(error).__name__)

    def reached(self) -> None:
        """Log once that a primary is reached again."""
        if self._away:
            self._away = False
            log.warning("PostgreSQL is back")

    def leave(self) -> None:
        """Let the next one in."""
        self._places.release()


_gates: Final[WeakKeyDictionary[Engine, _Gate]] = WeakKeyDictionary()


def _leave_connections_to_parent() -> None:
    """Give each engine an empty pool in a forked child: two processes must not share a connection."""
    for engine, gate in list(_gates.items()):
        engine.dispose(close=False)
        gate.reset()


os.register_at_fork(after_in_child=_leave_connections_to_parent)


class PooledConnections:
    """Connections of an engine's pool, in autocommit."""

    joins_host = False

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        gate = _gates.get(engine.sync_engine)
        self._gate = _gates[engine.sync_engine] = gate or _Gate(engine)

    def __call__(self) -> _PooledLease:
        """Return a live connection to enter."""
        return _PooledLease(self._engine, self._gate)


class _PooledLease:
    """One that broke, fell silent, or was left in the midst of something, does not go back to the pool.

    Nor does one whose engine was disposed meanwhile: its pool is nobody's any more, and would keep it open.
    """

    __slots__ = ("_engine", "_exchange", "_gate", "_pool", "_pooled")

    def __init__(self, engine: AsyncEngine, gate: _Gate) -> None:
        self._engine = engine
        self._gate = gate
        self._exchange: NativeExchange
        self._pool: Pool
        self._pooled: PoolProxiedConnection

    async def __aenter__(self) -> Exchange:
        try:
            await self._gate.enter()
            try:
                return await self._checkout()
            except BaseException:
                self._gate.leave()
                raise
        except Exception as error:
            raise_translated(error)
            raise

    async def _checkout(self) -> Exchange:
        while True:
            self._pool = self._engine.pool
            self._pooled = await self._taken()
            driver = cast("Driver", self._pooled.driver_connection)
            self._exchange = self._kept(driver)
            if self._exchange.listener.heard_at >= self._gate.retired_at and _alive(driver):
                return self._exchange
            await _discard(self._pooled)

    async def _taken(self) -> PoolProxiedConnection:
        if cast("QueuePool", self._pool).checkedin():
            return await self._engine.raw_connection()
        try:
            async with asyncio.timeout(_OPEN_WITHIN):
                return await self._engine.raw_connection()
        except Exception as error:
            self._gate.lost(error)
            raise

    def _kept(self, driver: Driver) -> NativeExchange:
        """Return the connection's own, which lives as long as it does."""
        kept = self._pooled.info
        if _EXCHANGE not in kept:
            kept[_EXCHANGE] = NativeExchange(driver, self._gate.statement_timeout)
        return cast("NativeExchange", kept[_EXCHANGE])

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        driver = cast("Driver", self._pooled.driver_connection)
        demoted = self._exchange.demoted
        if self._exchange.listener.silent or demoted:
            self._gate.retired_at = time.monotonic()
            self._gate.lost(error if isinstance(error, Exception) else Demoted())
        elif error is None:
            self._gate.reached()
        try:
            idle = (
                not demoted and not driver.closed and driver.info.transaction_status is TransactionStatus.IDLE
            )
            if not idle or self._engine.pool is not self._pool:
                await _discard(self._pooled)
            else:
                self._pooled.close()
        finally:
            self._gate.leave()
        if error is not None:
            raise_translated(error)


class JoinedConnections:
    """The one connection of a host, inside the transaction that it opened."""

    joins_host = True

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    def __call__(self) -> _JoinedLease:
        """Return the host's connection to enter."""
        return _JoinedLease(self._connection)


class _JoinedLease:
    __slots__ = ("_connection",)

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def __aenter__(self) -> Exchange:
        if not self._connection.in_transaction():
            raise RuntimeError("Open a transaction on the connection first: `async with connection.begin()`.")
        driver = (await self._connection.get_raw_connection()).driver_connection
        if not isinstance(driver, psycopg.AsyncConnection):
            raise RuntimeError("TaskFlow joins connections of postgresql+psycopg only.")  # noqa: TRY004 a misuse
        if driver.autocommit:
            raise RuntimeError("TaskFlow joins transactions; this connection is in AUTOCOMMIT and has none.")
        encoding = driver.info.parameter_status("client_encoding")
        if encoding != "UTF8":
            raise RuntimeError(
                f"TaskFlow joins connections whose client_encoding is UTF8 only; this one's is {encoding}."
            )
        return CursorExchange(driver)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            raise_translated(error)


async def _discard(pooled: PoolProxiedConnection) -> None:
    """Keep a connection out of the pool; closing the socket is all the goodbye that it gets."""
    driver = cast("Driver", pooled.driver_connection)
    driver.pgconn.finish()
    # In a greenlet, since SQLAlchemy closes the driver's connection too, and would log that it cannot.
    await greenlet_spawn(pooled.invalidate)
    pooled.close()


def _alive(driver: Driver) -> bool:
    """Tell from this side alone: a server that went away leaves an idle socket readable."""
    if driver.closed:
        return False
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return not poll.poll(0)


_LATE: Final = (Silent, pg.ConnectionTimeout)
"""After these nobody wants to wait once more."""


async def fetch_all(
    connections: Connections, sql: str, parameters: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Run a read and return its rows; tried again once where the connection was lost, and that was soon."""
    try:
        return await _fetch_once(connections, sql, parameters)
    except Unavailable as error:
        lost = isinstance(error.__cause__, psycopg.OperationalError)
        if connections.joins_host or not lost or isinstance(error.__cause__, _LATE):
            raise
        return await _fetch_once(connections, sql, parameters)


async def _fetch_once(
    connections: Connections, sql: str, parameters: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    async with connections() as exchange:
        (answer,) = await exchange((sql, dict(parameters)))
        exchange.require_primary()
    return answer.rows
