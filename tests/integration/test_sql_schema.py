"""The migrations, the tables as SQLAlchemy sees them and the error table tell the same story."""

from functools import partial
from typing import Any, LiteralString

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from taskflow_core import TaskFlowError
from taskflow_core.ledger import LEASE
from taskflow_sqlalchemy import SqlAlchemyClaims
from taskflow_sqlalchemy.errors import CONSTRAINTS, translated
from taskflow_sqlalchemy.tables import metadata


async def test_migrations_make_what_the_tables_say(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_checks_options_and_partial_indexes_are_the_same_too(engine: AsyncEngine) -> None:
    """What Alembic does not compare: both are made, and what PostgreSQL says of them compared."""

    def made_from_tables(connection: Connection) -> None:
        connection.execute(text("CREATE SCHEMA other"))
        connection.execute(text("SET search_path = other"))
        metadata.create_all(connection, checkfirst=False)

    async with engine.connect() as connection:
        await connection.run_sync(made_from_tables)
        seen = {schema: await _described(connection, schema) for schema in ("public", "other")}
    assert seen["public"]
    assert seen["public"] == seen["other"]


async def _described(connection: Any, schema: str) -> set[tuple[str, ...]]:
    question = text("""
        SELECT relname::text, conname::text, pg_get_constraintdef(c.oid) FROM pg_constraint c
        JOIN pg_class t ON t.oid = conrelid WHERE t.relnamespace = to_regnamespace(:schema)
        UNION ALL SELECT tablename::text, indexname::text, indexdef FROM pg_indexes WHERE schemaname = :schema
        UNION ALL SELECT relname::text, 'options', reloptions::text FROM pg_class
        WHERE relnamespace = to_regnamespace(:schema) AND relkind = 'r'
        UNION ALL SELECT table_name::text, column_name::text,
          concat_ws(' ', data_type, is_nullable, column_default, generation_expression)
        FROM information_schema.columns WHERE table_schema = :schema
    """)
    rows = await connection.execute(question, {"schema": schema})
    return {
        tuple(str(cell).replace(f"{schema}.", "") for cell in row)
        for row in rows
        if row[0] != "alembic_version"
    }


def test_every_constraint_has_a_name_and_a_meaning(database: psycopg.Connection[Any]) -> None:
    named = database.execute("""
        SELECT conname FROM pg_constraint c JOIN pg_class t ON t.oid = conrelid
        WHERE t.relnamespace = 'public'::regnamespace AND t.relname <> 'alembic_version' AND contype <> 'n'
        UNION SELECT indexrelid::regclass::text FROM pg_index i JOIN pg_class t ON t.oid = indrelid
        WHERE indisunique AND t.relnamespace = 'public'::regnamespace AND t.relname <> 'alembic_version'
    """).fetchall()
    assert {name for (name,) in named} == set(CONSTRAINTS)


USER = (
    "INSERT INTO users VALUES (gen_random_uuid(), %(email)s, %(name)s, 'h', %(role)s, %(active)s, 0, "
    "now(), now(), %(deleted_at)s, %(version)s, %(password_version)s)"
)
GOOD_USER: dict[str, Any] = {
    "email": "a@b", "name": "n", "role": "user", "active": True, "deleted_at": None, "version": 1,
    "password_version": 1,
}  # fmt: skip
TASK = (
    "INSERT INTO tasks SELECT gen_random_uuid(), id, %(title)s, %(description)s, %(status)s, %(priority)s, "
    "NULL, now(), now(), %(completed_at)s, NULL, %(version)s FROM users"
)
GOOD_TASK: dict[str, Any] = {
    "title": "t", "description": None, "status": "PENDING", "priority": 0, "completed_at": None, "version": 1,
}  # fmt: skip
HISTORY = (
    "INSERT INTO task_history SELECT id, 1, gen_random_uuid(), now(), NULL, %(action)s, '{}', NULL FROM tasks"
)
SESSION = (
    "INSERT INTO sessions SELECT coalesce(%(id)s, gen_random_uuid()), coalesce(%(user_id)s, id), 'seed', "
    "%(generation)s, '{}', NULL, NULL, NULL, now(), now(), %(ended_at)s, %(end_reason)s FROM users"
)
GOOD_SESSION: dict[str, Any] = {
    "id": None, "user_id": None, "generation": 1, "ended_at": None, "end_reason": None,
}  # fmt: skip
EVENT = (
    "INSERT INTO security_events SELECT coalesce(%(id)s, gen_random_uuid()), coalesce(%(user_id)s, id), "
    "'login.failures', now(), '{}' FROM users"
)
GOOD_EVENT: dict[str, Any] = {"id": None, "user_id": None}
ATTEMPT = "INSERT INTO login_attempts VALUES (%(subject)s, %(number)s, now())"
GOOD_ATTEMPT: dict[str, Any] = {"subject": "another", "number": 1}
JOB = (
    "INSERT INTO ledger (id, kind, payload, state, tries, max_tries, fence, run_at, lease_until, created_at, "
    "finished_at) VALUES (gen_random_uuid(), 'kind', '{}', %(state)s, %(tries)s, 3, 0, %(run_at)s, "
    "%(lease_until)s, %(created_at)s, %(finished_at)s)"
)
GOOD_JOB: dict[str, Any] = {
    "state": "pending", "tries": 2, "run_at": "2026-01-01", "lease_until": None, "created_at": "2026-01-01",
    "finished_at": None,
}  # fmt: skip
SCAN = "INSERT INTO scans VALUES ('another', %(due_at)s)"
GOOD_SCAN: dict[str, Any] = {"due_at": "0001-01-02 00:00+00"}
TAKEN = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.mark.parametrize(
    ("statement", "good", "bad", "constraint"),
    [
        (USER, GOOD_USER, {"email": "a"}, "users_email_check"),
        (USER, GOOD_USER, {"email": "a" * 255}, "users_email_check"),
        (USER, GOOD_USER, {"email": "taken@example.com"}, "users_email_key"),
        (USER, GOOD_USER, {"name": ""}, "users_name_check"),
        (USER, GOOD_USER, {"name": "n" * 256}, "users_name_check"),
        (USER, GOOD_USER, {"role": "root"}, "users_role_check"),
        (USER, GOOD_USER, {"deleted_at": "2026-01-01"}, "users_deleted_check"),
        (USER, GOOD_USER, {"version": 0}, "users_version_check"),
        (USER, GOOD_USER, {"password_version": 0}, "users_password_version_check"),
        (SESSION, GOOD_SESSION, {"id": TAKEN}, "sessions_pkey"),
        (SESSION, GOOD_SESSION, {"user_id": TAKEN}, "sessions_user_id_fkey"),
        (SESSION, GOOD_SESSION, {"generation": 0}, "sessions_generation_check"),
        (SESSION, GOOD_SESSION, {"ended_at": "2026-01-01"}, "sessions_end_check"),
        (SESSION, GOOD_SESSION, {"end_reason": "logged_out"}, "sessions_end_check"),
        (EVENT, GOOD_EVENT, {"id": TAKEN}, "security_events_pkey"),
        (EVENT, GOOD_EVENT, {"user_id": TAKEN}, "security_events_user_id_fkey"),
        (ATTEMPT, GOOD_ATTEMPT, {"subject": "taken"}, "login_attempts_pkey"),
        (ATTEMPT, GOOD_ATTEMPT, {"number": 0}, "login_attempts_number_check"),
        (TASK, GOOD_TASK, {"title": ""}, "tasks_title_check"),
        (TASK, GOOD_TASK, {"title": "t" * 256}, "tasks_title_check"),
        (TASK, GOOD_TASK, {"description": "d" * 10_001}, "tasks_description_check"),
        (TASK, GOOD_TASK, {"status": "DONE"}, "tasks_status_check"),
        (TASK, GOOD_TASK, {"priority": 3}, "tasks_priority_check"),
        (TASK, GOOD_TASK, {"status": "COMPLETED"}, "tasks_completed_check"),
        (TASK, GOOD_TASK, {"completed_at": "2026-01-01"}, "tasks_completed_check"),
        (TASK, GOOD_TASK, {"version": 0}, "tasks_version_check"),
        (HISTORY, {"action": "created"}, {"action": "vanished"}, "task_history_action_check"),
        (JOB, GOOD_JOB, {"state": "new"}, "ledger_state_check"),
        (JOB, GOOD_JOB, {"tries": -1}, "ledger_tries_check"),
        (JOB, GOOD_JOB, {"tries": 3}, "ledger_tries_check"),
        (JOB, GOOD_JOB, {"tries": 4, "state": "dead", "finished_at": "2026-01-01"}, "ledger_tries_check"),
        (JOB, GOOD_JOB, {"state": "running"}, "ledger_lease_check"),
        (JOB, GOOD_JOB, {"state": "done"}, "ledger_finished_check"),
        (JOB, GOOD_JOB, {"run_at": "-infinity"}, "ledger_times_check"),
        (JOB, GOOD_JOB, {"run_at": "infinity"}, "ledger_times_check"),
        (JOB, GOOD_JOB, {"run_at": "0044-03-15 BC"}, "ledger_times_check"),
        (JOB, GOOD_JOB, {"created_at": "9999-12-31 00:00:01+00"}, "ledger_times_check"),
        (JOB, GOOD_JOB, {"state": "running", "lease_until": "infinity"}, "ledger_times_check"),
        (JOB, GOOD_JOB, {"state": "dead", "finished_at": "-infinity"}, "ledger_times_check"),
        (SCAN, GOOD_SCAN, {"due_at": "-infinity"}, "scans_due_at_check"),
        (SCAN, GOOD_SCAN, {"due_at": "infinity"}, "scans_due_at_check"),
    ],
)
def test_the_database_holds_the_invariants_by_itself(
    database: psycopg.Connection[Any],
    statement: Any,
    good: dict[str, Any],
    bad: dict[str, Any],
    constraint: str,
) -> None:
    database.execute(USER, GOOD_USER | {"email": "taken@example.com"})
    if statement is HISTORY:
        database.execute(TASK, GOOD_TASK)
    database.execute(SESSION, GOOD_SESSION | {"id": TAKEN})
    database.execute(EVENT, GOOD_EVENT | {"id": TAKEN})
    database.execute(ATTEMPT, GOOD_ATTEMPT | {"subject": "taken"})
    with pytest.raises(psycopg.IntegrityError) as caught:
        database.execute(statement, good | bad)
    assert caught.value.diag.constraint_name == constraint
    assert isinstance(translated(caught.value), TaskFlowError)
    database.execute(statement, good)


BACK = "UPDATE ledger SET state = 'pending', {}finished_at = NULL, run_at = now() WHERE state = 'dead'"


@pytest.mark.parametrize(
    "by_hand", [BACK.format(""), "UPDATE ledger SET max_tries = 2 WHERE state = 'pending'"]
)
async def test_what_would_stop_every_claim_is_refused_and_the_next_job_is_claimed(
    engine: AsyncEngine, database: psycopg.Connection[Any], by_hand: LiteralString
) -> None:
    died = {"state": "dead", "tries": 3, "finished_at": "2026-01-01"}
    database.execute(JOB, GOOD_JOB)
    database.execute(JOB, GOOD_JOB | died)
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        database.execute(by_hand)
    assert caught.value.diag.constraint_name == "ledger_tries_check"
    claim = partial(SqlAlchemyClaims(engine), None, kinds=["kind"], lease=LEASE)
    claimed = [await claim(), await claim()]
    assert [job.tries if job else None for job in claimed] == [3, None]
    # As docs/jobs.md has it.
    database.execute(BACK.format("tries = 0, "))
    job = await claim()
    assert (job.tries if job else None) == 1
