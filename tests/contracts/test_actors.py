"""Rights that end between a request's admission and its commit are gone, raced too."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import pytest

from contracts.persistence import Persistence
from contracts.test_races import outcomes
from support.samples import NOW, OPERATOR, SettableClock, new_id, new_user
from taskflow_core import (
    Actor,
    ChangeUser,
    CreateUser,
    DeleteUser,
    DiscardJob,
    EndSession,
    EndSessions,
    Forbidden,
    JobNotDead,
    NewUser,
    NotFound,
    PasswordReset,
    ResetPassword,
    RetryJob,
    RetryJobs,
    Role,
    Unauthenticated,
    UserChange,
    UserChanges,
    UserDeletion,
)
from taskflow_core.ledger import JobKind, LedgerEntry
from taskflow_core.use_cases.actors import load_users
from taskflow_core.use_cases.auth.change_password import SetPassword
from taskflow_core.use_cases.ledger.dead_letters import DeadJobs
from taskflow_memory import MemoryCommonPasswords, MemoryPasswords
from taskflow_system import Uuid7

clock = SettableClock(NOW + timedelta(hours=1))
ids = Uuid7()
PASSWORD = "correct horse battery staple"


class Admin(NamedTuple):
    """Somebody who was admitted with a live session and the role admin."""

    id: UUID
    actor: Actor


async def new_admin(persistence: Persistence) -> Admin:
    user = await persistence.new_user(Role.ADMIN)
    session = await persistence.open_session(user.id)
    return Admin(user.id, Actor.of(user.id, Role.ADMIN, session_id=session.id))


async def change(persistence: Persistence, actor: Actor, user_id: UUID, changes: UserChanges) -> object:
    return await ChangeUser(persistence.transactions, clock, ids)(UserChange(user_id, changes), actor)


async def demote(persistence: Persistence, victim: Admin, by: Actor) -> object:
    return await change(persistence, by, victim.id, UserChanges(role=Role.MANAGER))


async def deactivate(persistence: Persistence, victim: Admin, by: Actor) -> object:
    return await change(persistence, by, victim.id, UserChanges(active=False))


async def delete(persistence: Persistence, victim: Admin, by: Actor) -> None:
    await DeleteUser(persistence.transactions, clock, ids)(UserDeletion(victim.id), by)


async def end_session(persistence: Persistence, victim: Admin, by: Actor) -> None:
    assert victim.actor.session_id is not None
    await EndSession(persistence.transactions)(victim.actor.session_id, by)


async def end_sessions(persistence: Persistence, victim: Admin, by: Actor) -> None:
    await EndSessions(persistence.transactions, clock)(victim.id, by)


async def log_out(persistence: Persistence, victim: Admin, _: Actor) -> None:
    await end_session(persistence, victim, victim.actor)


Ending = Callable[[Persistence, Admin, Actor], Awaitable[object]]
ENDINGS: list[Ending] = [demote, deactivate, delete, end_session, end_sessions, log_out]
BETWEEN_ADMINS = [demote, deactivate, delete, end_session, end_sessions]


async def steps(persistence: Persistence, actor: Actor) -> dict[str, Callable[[], Awaitable[object]]]:
    """Everything that takes the role admin and writes accounts, sessions or jobs."""
    other = await persistence.new_user()
    session = await persistence.open_session(other.id)
    units = persistence.transactions
    job = LedgerEntry.create(id=new_id(), kind=JobKind.SAMPLE_REFUND, now=NOW)
    async with units() as unit:
        unit.ledger.add(job)
        await unit.commit()
    passwords, common = MemoryPasswords(), MemoryCommonPasswords()
    new = NewUser(email=f"{new_id()}@example.com", name="New", password=PASSWORD, role=Role.ADMIN)
    reset = ResetPassword(persistence.user_reads, SetPassword(units, passwords, common, clock, ids))
    return {
        "end session": lambda: EndSession(units)(session.id, actor),
        "create": lambda: CreateUser(units, passwords, common, clock, ids)(new, actor),
        "promote": lambda: change(persistence, actor, other.id, UserChanges(role=Role.ADMIN)),
        "email": lambda: change(persistence, actor, other.id, UserChanges(email="new@example.com")),
        "deactivate": lambda: change(persistence, actor, other.id, UserChanges(active=False)),
        "password": lambda: reset(PasswordReset(other.id, "another horse, another battery"), actor),
        "end sessions": lambda: EndSessions(units, clock)(other.id, actor),
        "retry": lambda: RetryJob(units)(job.id, actor),
        "retry all": lambda: RetryJobs(units)(DeadJobs(JobKind.SAMPLE_REFUND), actor),
        "discard": lambda: DiscardJob(units)(job.id, actor),
        "delete": lambda: DeleteUser(units, clock, ids)(UserDeletion(other.id), actor),
    }  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
async def test_rights_that_ended_since_the_admission_are_gone(
    persistence: Persistence, ending: Ending
) -> None:
    await persistence.new_user(Role.ADMIN)
    admitted = await new_admin(persistence)
    work = await steps(persistence, admitted.actor)
    await ending(persistence, admitted, OPERATOR)
    ended = {name: (await outcomes(step()))[0] for name, step in work.items()}
    refusal = Forbidden if ending is demote else Unauthenticated
    assert ended == dict.fromkeys(work, refusal) | ({"end session": NotFound} if ending is demote else {})


async def test_who_is_still_an_admin_does_it(persistence: Persistence) -> None:
    admitted = await new_admin(persistence)
    work = await steps(persistence, admitted.actor)
    ended = {name: (await outcomes(step()))[0] for name, step in work.items()}
    assert ended == dict.fromkeys(work) | {"retry": JobNotDead, "discard": JobNotDead}


@pytest.mark.parametrize("ending", BETWEEN_ADMINS, ids=lambda ending: ending.__name__)
async def test_of_two_admins_who_end_each_others_rights_at_once_one_does(
    persistence: Persistence, ending: Ending
) -> None:
    await persistence.new_user(Role.ADMIN)
    for _ in range(8):
        one, two = await new_admin(persistence), await new_admin(persistence)
        ended = await outcomes(ending(persistence, two, one.actor), ending(persistence, one, two.actor))
        assert ended.count(None) == 1
        assert set(ended) <= {None, Forbidden, NotFound, Unauthenticated}


async def test_admins_who_end_each_others_rights_in_every_way_do_not_deadlock(
    persistence: Persistence,
) -> None:
    await persistence.new_user(Role.ADMIN)
    admins = [await new_admin(persistence) for _ in range(20)]
    ended = await outcomes(
        *(
            BETWEEN_ADMINS[n % 5](persistence, admins[(n + 1 + n // 20) % 20], admins[n % 20].actor)
            for n in range(60)
        )
    )
    assert set(ended) <= {None, Forbidden, NotFound, Unauthenticated}
    assert None in ended


async def test_a_demotion_waits_for_what_is_about_to_be_committed(
    concurrent_persistence: Persistence,
) -> None:
    persistence = concurrent_persistence
    await persistence.new_user(Role.ADMIN)
    admitted = await new_admin(persistence)
    async with persistence.transactions() as unit:
        _, actor = await load_users(unit, admitted.actor)
        assert actor == admitted.actor
        endings = [
            asyncio.ensure_future(ending(persistence, admitted, OPERATOR)) for ending in (demote, log_out)
        ]
        done, _ = await asyncio.wait(endings, timeout=0.3)
        assert not done
        unit.users.add(new_user())
        await unit.commit()
    assert await outcomes(*endings) == [None, None]
