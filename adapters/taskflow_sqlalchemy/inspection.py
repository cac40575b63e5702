"""What there is to know of a database without changing it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import psycopg

from taskflow_core.errors import Unavailable
from taskflow_sqlalchemy.addresses import connection_parameters
from taskflow_sqlalchemy.connections import PooledConnections, fetch_all
from taskflow_sqlalchemy.errors import raise_translated
from taskflow_sqlalchemy.exchanges import NativeExchange
from taskflow_sqlalchemy.tables import REVISION, metadata

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

OLDEST_SERVER: Final = 18
"""PostgreSQL's major version: search folds case by `casefold()`, which came with 18."""


_STATE: Final = """
SELECT clock_timestamp(), current_setting('transaction_read_only') = 'on',
       to_regclass('alembic_version')::text, current_setting('server_encoding')
"""
_ROLE: Final = """
SELECT current_user::text, ARRAY(
  SELECT name FROM unnest(%(names)s::text[]) WITH ORDINALITY AS t (name, n)
  WHERE NOT (SELECT bool_and(has_table_privilege(to_regclass(name), privilege))
             FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS p (privilege))
  ORDER BY n)
"""
"""What is not there is not closed: privileges of no table are null."""
_REVISION: Final = "SELECT version_num FROM alembic_version"


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What was found.

    Attributes:
        server_version: PostgreSQL's major version.
        head: The newest migration that this TaskFlow ships.
        current: The newest that the database has; None where it has none.
        clock_skew_seconds: How far this machine's clock is ahead of the server's, at the least: nothing
            where the server's time was within the round trip that asked for it.
        read_only: Whether the server refuses writes (a standby, or `default_transaction_read_only`).
        encoding: The database's own, as PostgreSQL names it.
        role: Who is signed in.
        closed_tables: Those of TaskFlow that the role may not read and write.
    """

    server_version: int
    head: str
    current: str | None
    clock_skew_seconds: float
    read_only: bool
    encoding: str
    role: str
    closed_tables: tuple[str, ...]

    @property
    def supported(self) -> bool:
        """Whether the server is new enough."""
        return self.server_version >= OLDEST_SERVER

    @property
    def migrated(self) -> bool:
        """Whether the database is at head."""
        return self.current == self.head


async def inspect(url: str, *, deadline: float = 5.0) -> DatabaseReport:
    """Return what there is to know of a database.

    Raises:
        ValueError: It is not the URL of a PostgreSQL database.
        Unavailable: It cannot be reached.
    """
    # A standby is reported rather than refused.
    parameters = connection_parameters(url, {}) | {"target_session_attrs": "any"}
    try:
        async with asyncio.timeout(deadline):
            connection = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
            async with connection:
                return await _report(NativeExchange(connection), connection.info.server_version // 10_000)
    except (psycopg.Error, OSError, TimeoutError) as error:
        raise_translated(error)
        raise Unavailable from error


async def _report(exchange: NativeExchange, server_version: int) -> DatabaseReport:
    before = datetime.now(UTC)
    (state,) = await exchange((_STATE, {}))
    after = datetime.now(UTC)
    ((now, read_only, revised, encoding),) = state.rows
    from taskflow_sqlalchemy.revisions import head_revision  # noqa: PLC0415 - Alembic costs 0.35 s

    (asked,) = await exchange((_ROLE, {"names": [table.name for table in metadata.sorted_tables]}))
    ((role, closed),) = asked.rows
    current = None
    if revised is not None:
        (found,) = await exchange((_REVISION, {}))
        current = str(found.rows[0][0]) if found.rows else None
    skew = (min(max(now, before), after) - now).total_seconds()
    return DatabaseReport(
        server_version, head_revision(), current, skew, read_only, encoding, role, tuple(closed)
    )


async def ping(engine: AsyncEngine, *, deadline: float = 2.0) -> None:
    """Return once the database has answered on a pooled connection, and is migrated far enough.

    One that a newer version migrated is fine: migrations only add until all instances are upgraded.

    Raises:
        Unavailable: It did not within `deadline` seconds, or is not migrated.
    """
    try:
        async with asyncio.timeout(deadline):
            rows = await fetch_all(PooledConnections(engine), _REVISION, {})
    except TimeoutError as error:
        raise Unavailable from error
    if not rows or str(rows[0][0]) < REVISION:
        raise Unavailable("The database is not migrated to this version: run `taskflow migrate`.")
