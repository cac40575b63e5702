"""Signing in inside a host's transaction: it is kept or lost with it."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from taskflow_bootstrap.embedded import Settings, embed
from taskflow_bootstrap.errors import SettingsError
from taskflow_core import Actor, EventQuery, InvalidCredentials, LogInAttempt, Registration, Unauthenticated
from taskflow_core.use_cases.auth.change_password import PasswordReset
from taskflow_sqlalchemy import driver_url

SETTINGS = Settings(jwt_secret=("a-secret-of-the-tests-0123456789-abcdefgh",), password_cost=4)
ADA = Registration(email="ada@example.com", name="Ada", password="a long password")
LOG_IN = LogInAttempt("ada@example.com", "a long password")


@pytest.fixture
async def host(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(driver_url(database_url))
    yield engine
    await engine.dispose()


async def test_all_of_it_in_one_transaction(host: AsyncEngine, database: psycopg.Connection[Any]) -> None:
    async with host.connect() as connection:
        transaction = await connection.begin()
        do = embed(connection, SETTINGS)
        made = await do.register(ADA)
        again = await do.refresh(made.refresh_token)
        actor = await do.authenticate(again.access_token.value, None)
        assert actor.id == made.user.id
        assert [view.id for view in await do.list_sessions(made.user.id, actor)] == [actor.session_id]
        await do.log_in(LOG_IN)
        assert len(await do.list_sessions(made.user.id, actor)) == 2
        with pytest.raises(InvalidCredentials):
            await do.log_in(LogInAttempt("ada@example.com", "a wrong password"))
        await do.reset_password(PasswordReset(made.user.id, "another long one"), Actor.operator())
        with pytest.raises(Unauthenticated):
            await do.authenticate(again.access_token.value, None)
        events = await do.read_events(EventQuery(owner=made.user.id), Actor.operator())
        assert "password.changed" in {event.type for event in events.items}
        tables = ("users", "sessions", "security_events", "login_attempts")
        assert [count(database, table) for table in tables] == [0, 0, 0, 0]
        await transaction.rollback()
    assert [count(database, table) for table in tables] == [0, 0, 0, 0]


async def test_a_refused_log_in_is_counted_where_the_host_commits(
    host: AsyncEngine, database: psycopg.Connection[Any]
) -> None:
    async with host.begin() as connection:
        with pytest.raises(InvalidCredentials):
            await embed(connection, SETTINGS).log_in(LogInAttempt("nobody@example.com", "a wrong password"))
    assert count(database, "login_attempts") == 1


async def test_without_a_secret_accounts_can_be_made_and_nobody_signs_in(host: AsyncEngine) -> None:
    async with host.begin() as connection:
        do = embed(connection, Settings(password_cost=4))
        for refused in (do.register(ADA), do.log_in(LOG_IN), do.authenticate("token", None)):
            with pytest.raises(SettingsError, match="TASKFLOW_JWT_SECRET"):
                await refused


def count(database: psycopg.Connection[Any], table: str) -> int:
    row = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])
