"""`migrate` brings whatever it finds to head, or tells clearly why it cannot."""

import asyncio
import importlib
import io
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine

import taskflow_sqlalchemy
from support.samples import new_session
from taskflow_core import NotifyOverdue, Origin, Unavailable
from taskflow_embedded import PostgresServer
from taskflow_sqlalchemy import (
    MigrationError,
    SqlAlchemyReads,
    SqlAlchemyTransactions,
    driver_url,
    inspect,
    migrate,
    migration_sql,
    open_engine,
)
from taskflow_sqlalchemy.migrating import MIGRATOR_LOCK
from taskflow_sqlalchemy.revisions import alembic_config, head_revision, known_revisions
from taskflow_sqlalchemy.tables import REVISION
from taskflow_system import SystemClock, Uuid7

NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"


def renamed(url: str, name: str, user: str | None = None) -> str:
    parts = urlsplit(url)
    netloc = parts.netloc if user is None else f"{user}@{parts.netloc.rpartition('@')[2]}"
    return parts._replace(path=f"/{name}", netloc=netloc).geturl()


@pytest.fixture
def admin(postgres_url: str) -> Any:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


async def test_an_empty_database_is_brought_to_head_and_then_left_alone(fresh_database_url: str) -> None:
    first = await migrate(fresh_database_url)
    assert (first.before, first.after, first.created) == (None, head_revision(), False)
    second = await migrate(fresh_database_url)
    assert (second.before, second.after) == (head_revision(), head_revision())
    report = await inspect(fresh_database_url)
    assert report.migrated
    assert report.supported


async def test_a_database_that_is_missing_is_created(postgres_url: str, admin: Any) -> None:
    events: list[str] = []
    url = renamed(postgres_url, "made by migrate")
    try:
        assert (await migrate(url, on_event=events.append)).created
        assert "created the database 'made by migrate'" in events
        assert not (await migrate(url)).created
    finally:
        admin.execute('DROP DATABASE IF EXISTS "made by migrate" WITH (FORCE)')


async def test_a_missing_database_is_not_created_against_the_will(postgres_url: str) -> None:
    with pytest.raises(MigrationError, match="does not exist"):
        await migrate(renamed(postgres_url, "never made"), create=False)


async def test_a_role_that_may_not_create_is_told_what_to_run(postgres_url: str, admin: Any) -> None:
    admin.execute("CREATE ROLE modest LOGIN PASSWORD 'modest'")
    try:
        with pytest.raises(MigrationError, match='CREATE DATABASE "never made" OWNER'):
            await migrate(renamed(postgres_url, "never made", "modest:modest"))
    finally:
        admin.execute("DROP ROLE modest")


async def test_a_role_that_may_not_make_tables_is_told_what_to_run(
    fresh_database_url: str, admin: Any
) -> None:
    admin.execute("CREATE ROLE humble LOGIN PASSWORD 'humble'")
    try:
        name = urlsplit(fresh_database_url).path[1:]
        with pytest.raises(MigrationError, match="GRANT CREATE, USAGE ON SCHEMA public"):
            await migrate(renamed(fresh_database_url, name, "humble:humble"))
    finally:
        admin.execute("DROP ROLE humble")


async def test_a_user_that_does_not_exist_is_told_at_once(postgres_url: str) -> None:
    async with asyncio.timeout(60):
        with pytest.raises(MigrationError, match="user"):
            await migrate(renamed(postgres_url, "postgres", "stranger:wrong"), wait=600)


async def test_a_server_that_is_not_there_is_waited_for_and_then_told() -> None:
    events: list[str] = []
    with pytest.raises(MigrationError, match="cannot be reached"):
        await migrate(NOWHERE, wait=0.5, on_event=events.append)
    assert events == ["waiting for the database, 0.5 s at most"]


async def test_a_server_that_comes_up_late_is_waited_for(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "postgres", durable=False)
    await asyncio.to_thread(server.start)
    url = server.url
    await asyncio.to_thread(server.stop)

    waits = asyncio.Event()

    async def start_late() -> None:
        await waits.wait()
        await asyncio.to_thread(server.start)

    try:
        report, _ = await asyncio.gather(migrate(url, wait=90, on_event=lambda _: waits.set()), start_late())
    finally:
        await asyncio.to_thread(server.stop)
    assert report.after == head_revision()


async def test_many_migrators_at_once_migrate_once(fresh_database_url: str) -> None:
    reports = await asyncio.gather(*(migrate(fresh_database_url) for _ in range(5)))
    assert sorted(report.before or "" for report in reports) == ["", *[head_revision()] * 4]


async def test_a_migrator_waits_for_another_only_so_long(fresh_database_url: str) -> None:
    with psycopg.connect(fresh_database_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [MIGRATOR_LOCK])
        with pytest.raises(MigrationError, match="Another migrator"):
            await migrate(fresh_database_url, wait=0.5)


async def test_a_database_of_a_newer_version_is_left_alone(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(MigrationError, match="newer TaskFlow"):
        await migrate(database_url)


async def test_readiness_wants_a_database_that_is_migrated(fresh_database_url: str) -> None:
    engine = open_engine(fresh_database_url)
    ping = partial(taskflow_sqlalchemy.ping, deadline=60.0)
    try:
        with pytest.raises(Unavailable, match="taskflow migrate"):
            await ping(engine)
        await migrate(fresh_database_url)
        await ping(engine)
        with psycopg.connect(fresh_database_url, autocommit=True) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '0000'")
            with pytest.raises(Unavailable, match="taskflow migrate"):
                await ping(engine)
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        await ping(engine)
    finally:
        await engine.dispose()


def test_the_tables_are_of_the_newest_migration() -> None:
    assert head_revision() == REVISION
    assert all(len(revision) == 4 for revision in known_revisions()), "they are compared as text"


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://x/y", "sqlite://"])
async def test_what_is_no_url_of_postgresql_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"database URL|postgresql://"):
        await migrate(url)


def test_migrations_as_sql_make_the_same_tables(fresh_database_url: str) -> None:
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        # One after the other, as psql does: what is built CONCURRENTLY stands alone.
        for statement in migration_sql().split(";\n"):
            if statement.strip():
                connection.execute(statement)
        made = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert made == (11,)
    assert asyncio.run(migrate(fresh_database_url)).before == head_revision()


async def test_accounts_from_before_sessions_can_sign_in(fresh_database_url: str) -> None:
    config, script = alembic_config(), io.StringIO()
    config.output_buffer = script
    command.upgrade(config, "0001", sql=True)
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        connection.execute(script.getvalue())
        connection.execute(
            "INSERT INTO users VALUES (gen_random_uuid(), 'a@b', 'A', 'hash', 'user', true, 0, now(), now(), "
            "NULL, 1)"
        )
    report = await migrate(fresh_database_url)
    assert (report.before, report.after) == ("0001", head_revision())
    engine = open_engine(fresh_database_url)
    found = await SqlAlchemyReads(engine).credentials("a@b", Origin())
    assert found is not None
    assert (found.password_hash, found.password_version, found.has_signed_in) == ("hash", 1, False)
    async with SqlAlchemyTransactions(engine)() as unit:
        unit.sessions.open(new_session(found.user.id), password_version=1)
        await unit.commit()
    await engine.dispose()


def _migrated_to(revision: str, database_url: str) -> None:
    config, script = alembic_config(), io.StringIO()
    config.output_buffer = script
    command.upgrade(config, revision, sql=True)
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in script.getvalue().split(";\n"):
            if statement.strip():
                connection.execute(statement)


async def test_a_migration_that_was_interrupted_while_it_built_indexes_can_be_run_again(
    fresh_database_url: str,
) -> None:
    _migrated_to("0003", fresh_database_url)
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO users"
            " (id, email, name, password_hash, role, active, created_at, updated_at, version)"
            " VALUES (gen_random_uuid(), 'a@b', 'A', 'hash', 'user', true, now(), now(), 1)"
        )
        connection.execute(
            "INSERT INTO tasks"
            " (id, user_id, title, status, priority, due_date, created_at, updated_at, version)"
            " SELECT gen_random_uuid(), users.id, 'A task', 'PENDING', 1, now() + i * interval '1 hour',"
            " now(), now(), 1 FROM users, generate_series(-3, 3) AS i WHERE i <> 0"
        )
        connection.execute("SET lock_timeout = '100ms'")
        with psycopg.connect(fresh_database_url) as writer:
            writer.execute("UPDATE tasks SET title = 'Another'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                connection.execute("CREATE INDEX CONCURRENTLY tasks_overdue_idx ON tasks (due_date)")
        connection.execute("RESET lock_timeout")
        report = await migrate(fresh_database_url)
        assert (report.before, report.after) == ("0003", head_revision())
        indexes = connection.execute(
            "SELECT indisvalid, indnatts FROM pg_index WHERE indexrelid = 'tasks_overdue_idx'::regclass"
        ).fetchall()
        assert indexes == [(True, 2)]
        told = "SELECT count(*) FROM tasks WHERE notified_due_date = due_date"
        assert connection.execute(told).fetchone() == (3,)


def test_what_is_overdue_is_marked_in_steps_that_go_on_from_one_another(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _migrated_to("0003", fresh_database_url)
    migration = importlib.import_module("taskflow_sqlalchemy.migrations.versions.0004_overdue")
    engine = create_engine(driver_url(fresh_database_url))
    begun_after: list[Any] = []
    with (
        psycopg.connect(fresh_database_url, autocommit=True) as connection,
        psycopg.connect(fresh_database_url) as writer,
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as migrator,
    ):
        _add_overdue(connection, 50)
        writer.execute("UPDATE tasks SET title = 'Another' WHERE title = '7'")

        class Bind:
            """Notes where each step begins; the writer is done after the first round."""

            def execute(self, statement: Any, parameters: Any = None) -> Any:
                if parameters is not None:
                    if parameters["due"] == "-infinity" and begun_after:
                        writer.rollback()
                    begun_after.append(parameters["due"])
                return migrator.execute(statement, parameters)

        monkeypatch.setattr(migration, "_STEP", 10)
        monkeypatch.setattr(migration, "op", SimpleNamespace(get_bind=Bind))
        monkeypatch.setattr(migration, "context", SimpleNamespace(is_offline_mode=lambda: False))
        migration._mark_overdue()
        unmarked = "SELECT count(*) FROM tasks WHERE notified_due_date IS DISTINCT FROM due_date"
        assert connection.execute(unmarked).fetchone() == (0,)
    engine.dispose()
    # 49 in steps of ten, and that there is no more; then the one that was held.
    assert [due for due in begun_after if due == "-infinity"] == [begun_after[0], begun_after[6]]
    assert len(begun_after) == 6 + 2
    assert begun_after[1:6] == sorted(set(begun_after[1:6]))


def test_a_time_that_python_cannot_hold_stops_no_migration(fresh_database_url: str) -> None:
    _migrated_to("0003", fresh_database_url)
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        _add_overdue(connection, 1)
        connection.execute("UPDATE tasks SET due_date = '-infinity'")
        asyncio.run(migrate(fresh_database_url))
        marked = "SELECT count(*) FROM tasks WHERE notified_due_date = due_date"
        assert connection.execute(marked).fetchone() == (1,)


async def test_schedulers_tell_of_nothing_before_the_last_migration_has_ended(
    fresh_database_url: str,
) -> None:
    _migrated_to("0003", fresh_database_url)
    engine = open_engine(fresh_database_url)
    scan = NotifyOverdue(SqlAlchemyTransactions(engine), SystemClock(), Uuid7())
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        _add_overdue(connection, 10)
        assert not await scan()
        # What the last index is for is away: all before it is done, and then nothing more.
        connection.execute("ALTER TABLE security_events RENAME TO away")
        with pytest.raises(MigrationError, match="42P01"):
            await migrate(fresh_database_url)
        connection.execute("UPDATE tasks SET notified_due_date = NULL WHERE title IN ('1', '2')")
        assert not await scan()
        connection.execute("ALTER TABLE away RENAME TO security_events")
        await migrate(fresh_database_url)
        assert not await scan()
        connection.execute("UPDATE tasks SET due_date = due_date - interval '1 day' WHERE title = '3'")
        connection.execute("UPDATE scans SET due_at = now() WHERE name = 'overdue'")
        assert await scan()
        assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (1,)
    await engine.dispose()


def _add_overdue(connection: psycopg.Connection[Any], number: int) -> None:
    connection.execute(
        "INSERT INTO users (id, email, name, password_hash, role, active, created_at, updated_at, version)"
        " VALUES (gen_random_uuid(), 'a@b', 'A', 'hash', 'user', true, now(), now(), 1)"
    )
    connection.execute(
        "INSERT INTO tasks"
        " (id, user_id, title, status, priority, due_date, created_at, updated_at, version)"
        " SELECT gen_random_uuid(), users.id, i::text, 'PENDING', 1, now() - i * interval '1 hour',"
        " now(), now(), 1 FROM users, generate_series(1, %s) AS i",
        [number],
    )
