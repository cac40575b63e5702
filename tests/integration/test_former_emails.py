"""Another email of an account, over PostgreSQL: the one before is told, and goes with the account."""

from typing import Any

import psycopg
import pytest

from support.samples import OPERATOR
from taskflow_core import (
    EventQuery,
    JobKind,
    JobQuery,
    JobState,
    NewUser,
    RunJob,
    TellSecurityEvent,
    UseCases,
    UserChange,
    UserChanges,
    UserDeletion,
    UserView,
)
from taskflow_core.security_events import EventType
from taskflow_memory import MemoryNotifier
from taskflow_sqlalchemy.statements import PURGE_FORMER_EMAILS, PURGE_USERS

HOLDING = "SELECT count(*) FROM ledger WHERE strpos(payload::text, 'old@example.com') > 0"


async def changed(use_cases: UseCases) -> UserView:
    new = NewUser(email="old@example.com", name="Ada", password="a long password")
    user = await use_cases.create_user(new, OPERATOR)
    return await use_cases.change_user(UserChange(user.id, UserChanges(email="new@example.com")), OPERATOR)


def holding(database: psycopg.Connection[Any]) -> int:
    found = database.execute(HOLDING).fetchone()
    assert found is not None
    return int(found[0])


async def test_the_one_before_is_told_once(use_cases: UseCases) -> None:
    user = await changed(use_cases)
    run_job = use_cases.run_job
    assert isinstance(run_job, RunJob)
    tell = run_job.handlers[JobKind.SECURITY_EVENT]
    assert isinstance(tell, TellSecurityEvent)
    assert isinstance(tell.notifier, MemoryNotifier)
    while await run_job():
        pass
    (notice,) = tell.notifier.sent
    assert (notice.email, notice.user_id, notice.facts["type"]) == (
        "old@example.com", user.id, EventType.EMAIL_CHANGED,
    )  # fmt: skip
    (event,) = (await use_cases.read_events(EventQuery(owner=user.id), OPERATOR)).items
    (job,) = (await use_cases.list_jobs(JobQuery(kind=JobKind.SECURITY_EVENT), OPERATOR)).items
    assert job.state is JobState.DONE
    assert "old@" not in f"{notice.facts} {event} {job}"


async def test_it_goes_with_the_account(use_cases: UseCases, database: psycopg.Connection[Any]) -> None:
    user = await changed(use_cases)
    assert holding(database) == 1
    await use_cases.delete_user(UserDeletion(user.id), OPERATOR)
    assert await use_cases.purge_users(OPERATOR) == 2
    assert holding(database) == 0


@pytest.mark.parametrize("statement", [PURGE_FORMER_EMAILS, PURGE_USERS], ids=["emails", "users"])
def test_those_to_purge_are_found_without_a_look_at_other_jobs(
    database: psycopg.Connection[Any], statement: str
) -> None:
    database.execute("""
        INSERT INTO ledger (id, kind, subject, payload, state, tries, max_tries, fence, run_at, created_at,
                            finished_at)
        SELECT uuidv7(), 'security.event', uuidv7(), '{}', 'done', 1, 3, 1, now(), now(), now()
        FROM generate_series(1, 5000)
    """)
    database.execute("ANALYZE ledger")
    plan = "\n".join(row[0] for row in database.execute(f"EXPLAIN {statement}", {"limit": 500}))
    assert "ledger_former_email_idx" in plan
    assert "Seq Scan on ledger" not in plan
