"""What statements rely on holds whatever database, role, URL or environment have as a default."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.ext.asyncio import create_async_engine

from support.samples import entry_of, new_task, new_user
from taskflow_sqlalchemy import SqlAlchemyTransactions, driver_url, inspect, migrate, open_engine
from taskflow_sqlalchemy.connections import PooledConnections, fetch_all

NEEDED = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "transaction_isolation": "read committed",
    "transaction_deferrable": "off",
}
OTHERS = {
    "client_encoding": "LATIN1",
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
}
OPTIONS = " ".join(f"-c {name}={value}" for name, value in OTHERS.items())
TITLE = "漢字 Büro"


def with_parameters(url: str, **parameters: str) -> str:
    """Return `url` with libpq's parameters added."""
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    return f"{url}{'&' if '?' in url else '?'}{query}"


@pytest.fixture(params=["database", "role", "URL", "environment"])
def meddled(
    request: pytest.FixtureRequest, database: psycopg.Connection[Any], database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> str:  # fmt: skip
    if request.param == "URL":
        return with_parameters(database_url, options=OPTIONS, client_encoding="latin1")
    if request.param == "environment":
        monkeypatch.setenv("PGCLIENTENCODING", "latin1")
        monkeypatch.setenv("PGOPTIONS", OPTIONS)
        return database_url
    name = sql.Identifier(database.info.dbname)
    whom = (
        sql.SQL("ROLE {} IN").format(sql.Identifier(database.info.user)) if request.param == "role" else None
    )
    for setting, value in OTHERS.items():
        database.execute(
            sql.SQL("ALTER {} DATABASE {} SET {} = {}").format(
                whom or sql.SQL(""), name, sql.Identifier(setting), sql.Literal(value)
            )
        )
    return database_url


async def test_they_are_pinned_whoever_has_set_them_otherwise(meddled: str) -> None:
    engine = open_engine(meddled)
    try:
        for name, value in NEEDED.items():
            asked = f"SELECT current_setting('{name}')"
            assert await fetch_all(PooledConnections(engine), asked, {}) == [(value,)], name
        user = new_user()
        task = new_task(user.id, title=TITLE)
        async with SqlAlchemyTransactions(engine)() as unit:
            unit.users.add(user)
            await unit.commit()
        async with SqlAlchemyTransactions(engine)() as unit:
            unit.tasks.add(task, entry_of(task))
            await unit.commit()
        async with SqlAlchemyTransactions(engine)() as unit:
            assert (await unit.tasks.load([task.id]))[task.id].title == TITLE
    finally:
        await engine.dispose()
    assert (await migrate(meddled)).before == (await inspect(meddled)).head


async def test_a_migration_may_take_longer_than_the_time_outs_of_role_or_url(fresh_database_url: str) -> None:
    options = "-c statement_timeout=1 -c transaction_timeout=20"
    assert (await migrate(with_parameters(fresh_database_url, options=options))).before is None


@pytest.mark.parametrize("source", ["URL", "environment"])
async def test_options_are_those_of_pool_migrations_and_doctor_alike(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    url, options = fresh_database_url, "-c search_path=elsewhere -c statement_timeout=7"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA elsewhere")
    if source == "URL":
        # What the URL says goes before the environment.
        monkeypatch.setenv("PGOPTIONS", "-c search_path=public")
        monkeypatch.setenv("PGAPPNAME", "other")
        url = with_parameters(url, options=options, application_name="mine")
    else:
        monkeypatch.setenv("PGOPTIONS", options)
        monkeypatch.setenv("PGAPPNAME", "mine")
    await migrate(url)
    report = await inspect(url)
    assert (report.migrated, report.closed_tables) == (True, ())
    engine = open_engine(url, statement_timeout=60)
    try:
        asked = (
            "SELECT to_regclass('users')::oid = to_regclass('elsewhere.users')::oid, "
            "to_regclass('public.alembic_version')::text, current_setting('application_name'), "
            "current_setting('statement_timeout')"
        )
        assert await fetch_all(PooledConnections(engine), asked, {}) == [(True, None, "mine", "1min")]
    finally:
        await engine.dispose()


async def test_a_hosts_connection_of_another_encoding_is_refused(database_url: str) -> None:
    host = create_async_engine(driver_url(database_url), connect_args={"client_encoding": "latin1"})
    async with host.connect() as connection, connection.begin():
        with pytest.raises(RuntimeError, match="client_encoding"):
            async with SqlAlchemyTransactions.joined(connection)() as unit:
                await unit.tasks.load([new_task(new_user().id).id])
    await host.dispose()
