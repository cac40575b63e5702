"""The adapters that the contract suites run over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest

from contracts.persistence import Persistence
from taskflow_memory import (
    MemoryClaims,
    MemoryIdentities,
    MemoryLedgerReads,
    MemoryLoginAttempts,
    MemoryQueue,
    MemoryReads,
    MemorySessionReads,
    MemoryStore,
    MemoryTransactions,
)


async def over_memory() -> Persistence:
    shifted = timedelta()
    store = MemoryStore(lambda: datetime.now(UTC) + shifted)
    reads = MemoryReads(store)

    async def data_version(owner: UUID) -> int:
        return store.data_version(owner)

    async def age(by: timedelta) -> None:
        nonlocal shifted
        shifted += by

    queue = MemoryQueue()
    return Persistence(
        MemoryTransactions(store, queue), reads, reads, MemorySessionReads(store), MemoryIdentities(store),
        MemoryLoginAttempts(store), MemoryClaims(store), MemoryLedgerReads(store), queue, data_version, age,
    )  # fmt: skip


# What `Persistence.age` moves.
TIMES = {
    "login_attempts": ["tried_at"],
    "ledger": ["run_at", "lease_until", "finished_at"],
    "scans": ["due_at"],
    "idempotency_keys": ["kept_at"],
    "tasks": ["due_date", "notified_due_date"],
}
PATIENCE = 60.0
"""Seconds: what is asked here takes as long as it takes, on a machine that has other things to do too."""


@asynccontextmanager
async def over_postgres(url: str) -> AsyncIterator[Persistence]:
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import AsyncEngine

    from taskflow_sqlalchemy import (
        SqlAlchemyClaims,
        SqlAlchemyIdentities,
        SqlAlchemyLedgerReads,
        SqlAlchemyLoginAttempts,
        SqlAlchemyReads,
        SqlAlchemySessionReads,
        SqlAlchemyTransactions,
        open_engine,
    )

    async def data_version(engine: AsyncEngine, owner: UUID) -> int:
        async with engine.connect() as connection:
            question = text("SELECT data_version FROM users WHERE id = :id")
            return int((await connection.execute(question, {"id": owner})).scalar_one())

    async def age(engine: AsyncEngine, by: timedelta) -> None:
        async with engine.connect() as connection:
            for table, times in TIMES.items():
                moves = ", ".join(f"{time} = {time} - :by" for time in times)
                await connection.execute(text(f"UPDATE {table} SET {moves}"), {"by": by})

    engine = open_engine(url, pool_timeout=PATIENCE, statement_timeout=PATIENCE)
    try:
        reads, queue = SqlAlchemyReads(engine), MemoryQueue()
        yield Persistence(
            SqlAlchemyTransactions(engine, queue), reads, reads, SqlAlchemySessionReads(engine),
            SqlAlchemyIdentities(engine), SqlAlchemyLoginAttempts(engine, b"key"), SqlAlchemyClaims(engine),
            SqlAlchemyLedgerReads(engine), queue, partial(data_version, engine), partial(age, engine),
        )  # fmt: skip
    finally:
        await engine.dispose()


@pytest.fixture(params=["memory", "sqlalchemy"])
async def persistence(request: pytest.FixtureRequest) -> AsyncIterator[Persistence]:
    if request.param == "memory":
        yield await over_memory()
    else:
        async with over_postgres(request.getfixturevalue("database_url")) as real:
            yield real


@pytest.fixture
async def concurrent_persistence(database_url: str) -> AsyncIterator[Persistence]:
    """Where two units of work can be open at once; memory's run one after the other."""
    async with over_postgres(database_url) as real:
        yield real


@pytest.fixture
async def somebody_waits(database_url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Returns once somebody waits for what another unit of work has locked."""
    import psycopg

    question = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as database:

        async def wait() -> None:
            async with asyncio.timeout(PATIENCE):
                while True:
                    found = await (await database.execute(question)).fetchone()
                    if found == (True,):
                        return
                    await asyncio.sleep(0.01)

        yield wait
