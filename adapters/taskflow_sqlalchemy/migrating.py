"""Brings a database to head: waits until it answers, creates it where it may, one migrator at a time."""

from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
import stamina
from alembic import command
from psycopg import errors as pg
from psycopg import sql
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from taskflow_sqlalchemy.addresses import connection_parameters
from taskflow_sqlalchemy.connection_errors import explained, is_final, is_missing_database
from taskflow_sqlalchemy.connections import DRIVER
from taskflow_sqlalchemy.inspection import OLDEST_SERVER
from taskflow_sqlalchemy.revisions import alembic_config, head_revision, known_revisions
from taskflow_sqlalchemy.tables import metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import Connection

    Plain = psycopg.AsyncConnection[tuple[Any, ...]]

MIGRATOR_LOCK: Final = 0x7461_736B_666C_6F77
"""The advisory lock's key: "taskflow" in ASCII."""
LOCK_POLL: Final = 0.2
"""Seconds between tries. One that *waited* for the lock would deadlock with CREATE INDEX CONCURRENTLY."""

GRANTS: Final = (
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role}",
    "GRANT SELECT ON alembic_version TO {role}",
)
"""What a role needs that serves and does not migrate."""


class MigrationError(Exception):
    """The database cannot be brought to head; the message tells why and what to do, without secrets."""


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What was done.

    Attributes:
        created: Whether the database itself was made.
        before: Its revision until then; None where it had none.
        after: Its revision now: head.
    """

    created: bool
    before: str | None
    after: str


def _silent(_: str) -> None:
    """Tell nobody."""


async def migrate(
    url: str,
    *,
    wait: float = 30.0,
    create: bool = True,
    grant_to: str | None = None,
    on_event: Callable[[str], None] = _silent,
) -> MigrationReport:
    """Bring the database at `url` to head.

    Args:
        url: `postgresql://user:password@host/database`.
        wait: Seconds to wait for a server that is not there yet, and for another migrator.
        create: Whether to create a database that does not exist.
        grant_to: A role that gets the rights that serving needs, on the tables at head.
        on_event: Is told what happens, a line each, without secrets.

    Raises:
        ValueError: `url` is not the URL of a PostgreSQL database.
        MigrationError: It cannot be done.
    """
    created = await _reach(url, wait=wait, create=create, on_event=on_event)
    try:
        async with await _connect(url) as guard:
            _require_version(guard)
            async with _only_migrator(guard, wait, on_event):
                before = await _current(guard)
                _require_known(before)
                if before != head_revision():
                    on_event(f"migrating from {before or 'an empty database'} to {head_revision()}")
                    await _upgrade(url)
                if grant_to is not None:
                    await _grant(guard, grant_to)
    except psycopg.Error as error:
        raise MigrationError(explained(error)) from error
    return MigrationReport(created, before, head_revision())


def migration_sql() -> str:
    """Return all migrations as one SQL script."""
    config, script = alembic_config(), io.StringIO()
    config.output_buffer = script
    command.upgrade(config, "head", sql=True)
    return script.getvalue()


async def _connect(url: str, **overrides: str) -> Plain:
    # The guard waits while migrations run, which may take hours: no time-out of the server's may end it.
    settings = {"statement_timeout": "0", "idle_session_timeout": "0", "client_min_messages": "warning"}
    parameters = connection_parameters(url, settings) | overrides
    return await psycopg.AsyncConnection.connect(**parameters, autocommit=True)


async def _reach(url: str, *, wait: float, create: bool, on_event: Callable[[str], None]) -> bool:
    """Return once the database accepts a connection; True where it had to be created."""
    told = False

    def is_temporary(error: Exception) -> bool:
        nonlocal told
        temporary = isinstance(error, psycopg.OperationalError) and not is_final(error)
        if temporary and not told:
            told = True
            on_event(f"waiting for the database, {wait:g} s at most")
        return temporary

    attempts = stamina.retry_context(
        on=is_temporary,
        attempts=None,
        timeout=max(wait, 0.001),
        wait_initial=0.1,
        wait_max=1.0,
        wait_jitter=0.1,
    )
    try:
        async for attempt in attempts:
            with attempt:
                try:
                    await (await _connect(url)).close()
                except psycopg.OperationalError as error:
                    if not is_missing_database(error):
                        raise
                    if not create:
                        raise MigrationError(
                            "The database does not exist; create it, or let `taskflow migrate` do so."
                        ) from error
                    await _create_database(url, on_event)
                    return True
    except psycopg.Error as error:
        raise MigrationError(explained(error)) from error
    return False


async def _create_database(url: str, on_event: Callable[[str], None]) -> None:
    name = connection_parameters(url, {}).get("dbname", "")
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
    try:
        async with await _connect(url, dbname="postgres") as maintenance:
            await maintenance.execute(statement)
    except pg.DuplicateDatabase:
        return  # another migrator was quicker
    except pg.InsufficientPrivilege as error:
        raise MigrationError(
            f"The database {name!r} does not exist, and this role may not create it. As a role that may: "
            f'CREATE DATABASE "{name}" OWNER <this role>;'
        ) from error
    on_event(f"created the database {name!r}")


@asynccontextmanager
async def _only_migrator(guard: Plain, wait: float, on_event: Callable[[str], None]) -> AsyncIterator[None]:
    deadline = asyncio.get_running_loop().time() + max(wait, 0)
    told = False
    while True:
        row = await (await guard.execute("SELECT pg_try_advisory_lock(%s)", [MIGRATOR_LOCK])).fetchone()
        if row and row[0]:
            break
        if asyncio.get_running_loop().time() > deadline:
            raise MigrationError(
                "Another migrator is at work on this database; wait for it, or raise --wait."
            )
        if not told:
            told = True
            on_event("waiting for another migrator")
        await asyncio.sleep(LOCK_POLL)
    # Nothing to release: the lock ends with the guard's connection.
    yield


async def _current(connection: Plain) -> str | None:
    found = await (await connection.execute("SELECT to_regclass('alembic_version')")).fetchone()
    if found is None or found[0] is None:
        return None
    row = await (await connection.execute("SELECT version_num FROM alembic_version")).fetchone()
    return str(row[0]) if row else None


async def _upgrade(url: str) -> None:
    # Others wait for as long as a lock is waited for; the work on it may take hours.
    settings = {"lock_timeout": "5s", "statement_timeout": "0", "transaction_timeout": "0"}
    engine = create_async_engine(
        DRIVER, poolclass=NullPool, connect_args=connection_parameters(url, settings)
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run)
            await connection.commit()
    except Exception as error:
        cause = getattr(error, "orig", error)
        if isinstance(cause, psycopg.Error):
            raise MigrationError(explained(cause)) from error
        raise
    finally:
        await engine.dispose()


def _run(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _grant(owner: Plain, role: str) -> None:
    """Grant the rights that docs/operations.md lists: changing the revision is not among them."""
    schema = await (await owner.execute("SELECT current_schema()")).fetchone()
    names = {
        "role": sql.Identifier(role),
        "schema": sql.Identifier(schema[0] if schema else "public"),
        "tables": sql.SQL(", ").join(map(sql.Identifier, metadata.tables)),
    }
    async with owner.transaction():
        for statement in GRANTS:
            await owner.execute(sql.SQL(statement).format(**names))


def _require_version(connection: Plain) -> None:
    major = connection.info.server_version // 10_000
    if major < OLDEST_SERVER:
        raise MigrationError(f"PostgreSQL {major} is too old: TaskFlow needs {OLDEST_SERVER} or newer.")


def _require_known(revision: str | None) -> None:
    if revision is not None and revision not in known_revisions():
        raise MigrationError(
            f"The database is at revision {revision!r}, which this version does not know: "
            "a newer TaskFlow migrated it, or it belongs to something else. Upgrade TaskFlow."
        )
