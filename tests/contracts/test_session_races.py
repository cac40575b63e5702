"""What happens to one session, or one account's sessions, at the same time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from contracts.persistence import Persistence
from support.samples import new_session
from taskflow_core import (
    End,
    EventType,
    InvalidCredentials,
    RefreshReused,
    RefreshSession,
    Session,
    TokenPairs,
    Unauthenticated,
    User,
)
from taskflow_memory import MemoryRefreshTokens, MemoryTokens
from taskflow_system import SystemClock, Uuid7

TOKENS = TokenPairs(MemoryTokens(), MemoryRefreshTokens())


async def change_password(
    persistence: Persistence, user: User, meanwhile: Callable[[], Awaitable[object]]
) -> None:
    """Change it, with something that happens while the account is locked."""
    async with persistence.transactions() as unit:
        loaded = await unit.users.load(user.id)
        assert loaded is not None
        await meanwhile()
        now = datetime.now(UTC)
        loaded.set_password("new", now)
        unit.users.save(loaded)
        unit.sessions.end_all(user.id, End.PASSWORD_CHANGED, now)
        await unit.commit()


def refreshing(persistence: Persistence, grace: timedelta = timedelta(minutes=5)) -> RefreshSession:
    return RefreshSession(
        persistence.transactions, persistence.user_reads, TOKENS, SystemClock(), Uuid7(), grace
    )


async def test_whoever_waited_for_a_session_sees_it_as_it_was_left_and_the_time_after_that(
    persistence: Persistence,
) -> None:
    session = await persistence.open_session((await persistence.new_user()).id)
    loaded = asyncio.Event()

    async def first() -> datetime:
        async with persistence.transactions() as unit:
            found = await unit.sessions.load(session.id)
            assert found is not None
            loaded.set()
            await asyncio.sleep(0.3)
            found[0].generation = 2
            unit.sessions.save(found[0])
            await unit.commit()
            return found[1]

    async def second() -> tuple[Session, datetime] | None:
        await loaded.wait()
        async with persistence.transactions() as unit:
            return await unit.sessions.load(session.id)

    began, found = await asyncio.gather(first(), second())
    assert found is not None
    assert found[0].generation == 2
    assert found[1] - began >= timedelta(seconds=0.29)


async def test_a_log_in_waits_for_a_password_change_under_way_and_is_refused(
    concurrent_persistence: Persistence, somebody_waits: Callable[[], Awaitable[None]]
) -> None:
    user = await concurrent_persistence.new_user()
    locked = asyncio.Event()

    async def until_it_waits() -> None:
        locked.set()
        await somebody_waits()

    change = asyncio.create_task(change_password(concurrent_persistence, user, until_it_waits))
    await locked.wait()
    with pytest.raises(InvalidCredentials):
        await concurrent_persistence.open_session(user.id)
    await change


async def test_a_log_in_by_the_old_password_never_outlives_it(persistence: Persistence) -> None:
    """Forty races; whatever comes first, no session of the old password is live after the change."""

    async def log_in(user: User) -> None:
        await asyncio.sleep(random.uniform(0, 0.01))
        await persistence.open_session(user.id)

    for _ in range(40):
        user = await persistence.new_user()
        work = [log_in(user) for _ in range(6)]
        work.insert(3, change_password(persistence, user, partial(asyncio.sleep, random.uniform(0, 0.01))))
        ended = await asyncio.gather(*work, return_exceptions=True)
        assert {type(end) for end in ended} <= {type(None), InvalidCredentials}
        assert await persistence.session_reads.sessions(user.id) == ()


async def test_a_hundred_refreshes_by_one_token_make_one_current_token(persistence: Persistence) -> None:
    session = await persistence.open_session((await persistence.new_user()).id)
    refresh, token = refreshing(persistence), TOKENS.refresh.of(session)
    answers = await asyncio.gather(*(refresh(token) for _ in range(100)))
    stored = await persistence.session(session.id)
    assert stored is not None
    assert (stored.generation, stored.ended_at) == (2, None)
    assert {answer.refresh_token for answer in answers} == {TOKENS.refresh.of(stored)}
    assert await persistence.events() == []


async def test_without_grace_one_of_many_passes_and_the_session_ends_with_one_event(
    persistence: Persistence,
) -> None:
    session = await persistence.open_session((await persistence.new_user()).id)
    refresh, token = refreshing(persistence, timedelta()), TOKENS.refresh.of(session)
    answers = await asyncio.gather(*(refresh(token) for _ in range(20)), return_exceptions=True)
    kinds = [type(answer) for answer in answers if isinstance(answer, Exception)]
    assert kinds.count(RefreshReused) == 1
    assert kinds.count(Unauthenticated) == 18
    assert [event.type for event in await persistence.events()] == [EventType.REFRESH_REUSED]
    assert await persistence.identity(session) is None


async def test_a_refresh_never_revives_what_is_ended_at_the_same_time(persistence: Persistence) -> None:
    refresh = refreshing(persistence)
    user = await persistence.new_user()

    async def end_all() -> None:
        await asyncio.sleep(random.uniform(0, 0.005))
        async with persistence.transactions() as unit:
            unit.sessions.end_all(user.id, End.ENDED_BY_USER, datetime.now(UTC))
            await unit.commit()

    for _ in range(20):
        sessions = [await persistence.open_session(user.id) for _ in range(3)]
        work = [refresh(TOKENS.refresh.of(session)) for session in sessions]
        ended = await asyncio.gather(*work, end_all(), end_all(), return_exceptions=True)
        failed = {type(end) for end in ended if isinstance(end, BaseException)}
        assert failed <= {Unauthenticated}
        assert await persistence.session_reads.sessions(user.id) == ()


async def test_ending_all_in_many_units_at_once_deadlocks_nobody(persistence: Persistence) -> None:
    user = await persistence.new_user()
    sessions = [await persistence.open_session(user.id) for _ in range(20)]

    async def end_all(n: int) -> None:
        async with persistence.transactions() as unit:
            unit.sessions.end_all(user.id, End.ENDED_BY_USER, datetime.now(UTC), but=sessions[n].id)
            unit.sessions.open(new_session(user.id), password_version=1)
            await unit.commit()

    await asyncio.gather(*(end_all(n) for n in range(12)))
    stored = [await persistence.session(session.id) for session in sessions]
    assert all(session is not None and session.end is End.ENDED_BY_USER for session in stored)


async def test_many_that_end_one_session_end_it_once(persistence: Persistence) -> None:
    session = await persistence.open_session((await persistence.new_user()).id)

    async def end(reason: End) -> bool:
        async with persistence.transactions() as unit:
            found = await unit.sessions.load(session.id)
            assert found is not None
            finished = found[0].finish(reason, found[1])
            unit.sessions.save(found[0])
            await unit.commit()
            return finished

    done = await asyncio.gather(*(end(reason) for reason in list(End) * 3))
    assert sum(done) == 1
    stored = await persistence.session(session.id)
    assert stored is not None
    assert stored == replace(session, ended_at=stored.ended_at, end=stored.end)
    assert stored.end is (list(End) * 3)[done.index(True)]
