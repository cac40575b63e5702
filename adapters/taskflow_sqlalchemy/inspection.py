"""What there is to know of a database without changing it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import psycopg

from taskflow_core.errors import Unavailable
from taskflow_sqlalchemy.connections import PooledConnections, driver_url, fetch_all
from taskflow_sqlalchemy.errors import raise_translated
from taskflow_sqlalchemy.tables import REVISION

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

OLDEST_SERVER: Final = 18
"""PostgreSQL's major version: search folds case by `casefold()`, which came with 18."""


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What was found.

    Attributes:
        server_version: PostgreSQL's major version.
        head: The newest migration that this TaskFlow ships.
        current: The newest that the database has; None where it has none.
        clock_skew_seconds: How far this machine's clock is ahead of the server's, within half a round trip.
        read_only: Whether the server refuses writes (a standby).
    """

    server_version: int
    head: str
    current: str | None
    clock_skew_seconds: float
    read_only: bool

    @property
    def supported(self) -> bool:
        """Whether the server is new enough."""
        return self.server_version >= OLDEST_SERVER

    @property
    def migrated(self) -> bool:
        """Whether the database is at head."""
        return self.current == self.head


def conninfo(url: str, **overrides: str) -> str:
    """Return `url` as libpq takes it.

    Raises:
        ValueError: It is not the URL of a PostgreSQL database.
    """
    parsed = driver_url(url)
    # By parts: a database's name may hold what SQLAlchemy does not quote when it renders a URL.
    parts: dict[str, object] = {
        "host": parsed.host,
        "port": parsed.port,
        "user": parsed.username,
        "password": parsed.password,
        "dbname": parsed.database,
        **{name: each if isinstance(each, str) else ",".join(each) for name, each in parsed.query.items()},
        **overrides,
    }
    return psycopg.conninfo.make_conninfo(**{name: str(part) for name, part in parts.items() if part})


async def inspect(url: str, *, deadline: float = 5.0) -> DatabaseReport:
    """Return what there is to know of a database.

    Raises:
        ValueError: It is not the URL of a PostgreSQL database.
        Unavailable: It cannot be reached.
    """
    try:
        async with asyncio.timeout(deadline):
            connection = await psycopg.AsyncConnection.connect(conninfo(url), autocommit=True)
            async with connection:
                return await _report(connection)
    except (psycopg.Error, OSError, TimeoutError) as error:
        raise_translated(error)
        raise Unavailable from error


async def _report(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> DatabaseReport:
    before = datetime.now(UTC)
    cursor = await connection.execute(
        "SELECT clock_timestamp(), pg_is_in_recovery(), to_regclass('alembic_version')"
    )
    row = await cursor.fetchone()
    between = before + (datetime.now(UTC) - before) / 2
    if row is None or not isinstance(row[0], datetime):
        raise Unavailable
    from taskflow_sqlalchemy.revisions import head_revision  # noqa: PLC0415 - Alembic costs 0.35 s

    current = None
    if row[2] is not None:
        found = await (await connection.execute("SELECT version_num FROM alembic_version")).fetchone()
        current = str(found[0]) if found else None
    skew = (between - row[0]).total_seconds()
    return DatabaseReport(
        connection.info.server_version // 10_000, head_revision(), current, skew, bool(row[1])
    )


async def ping(engine: AsyncEngine, *, deadline: float = 2.0) -> None:
    """Return once the database has answered on a pooled connection, and is migrated far enough.

    One that a newer version migrated is fine: migrations only add until all instances are upgraded.

    Raises:
        Unavailable: It did not within `deadline` seconds, or is not migrated.
    """
    try:
        async with asyncio.timeout(deadline):
            rows = await fetch_all(PooledConnections(engine), "SELECT version_num FROM alembic_version", {})
    except TimeoutError as error:
        raise Unavailable from error
    if not rows or str(rows[0][0]) < REVISION:
        raise Unavailable("The database is not migrated to this version: run `taskflow migrate`.")
