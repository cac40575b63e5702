"""PostgreSQL as the adapter's own tests see it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from taskflow_core import UseCases
from taskflow_memory import (
    MemoryCommonPasswords,
    MemoryNotifier,
    MemoryPasswords,
    MemoryQueue,
    MemoryRefreshTokens,
    MemoryTokens,
)
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
from taskflow_system import SystemChance, SystemClock, Uuid7


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection beside TaskFlow's, to look and to meddle."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def use_cases(engine: AsyncEngine) -> UseCases:
    reads = SqlAlchemyReads(engine)
    return UseCases.over(
        transactions=SqlAlchemyTransactions(engine), task_reads=reads, user_reads=reads,
        session_reads=SqlAlchemySessionReads(engine), identities=SqlAlchemyIdentities(engine),
        attempts=SqlAlchemyLoginAttempts(engine, b"key"), passwords=MemoryPasswords(),
        common=MemoryCommonPasswords(), tokens=MemoryTokens(), refresh_tokens=MemoryRefreshTokens(),
        clock=SystemClock(), ids=Uuid7(), claims=SqlAlchemyClaims(engine),
        ledger_reads=SqlAlchemyLedgerReads(engine), queue=MemoryQueue(), notifier=MemoryNotifier(),
        chance=SystemChance(),
    )  # fmt: skip
