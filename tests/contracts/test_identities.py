"""Who asks: what holds of a session at this moment, for any number at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.persistence import Persistence
from support.samples import new_id, new_session
from taskflow_core import End, Identity, Role, Unavailable
from taskflow_core.ports.security import TokenClaims
from taskflow_core.sessions import IDLE_LIFETIME, LIFETIME

MINUTE = timedelta(minutes=1)


def ago(by: timedelta) -> datetime:
    return datetime.now(UTC) - by


@pytest.mark.parametrize("role", Role)
async def test_a_live_session_says_whose_it_is_and_what_that_one_may(
    persistence: Persistence, role: Role
) -> None:
    user = await persistence.new_user(role)
    session = await persistence.open_session(user.id)
    identity = await persistence.identity(session)
    assert identity == Identity(session.id, user.id, role, 0)
    assert isinstance(identity.role, Role)


async def test_the_version_of_the_data_is_that_of_now(persistence: Persistence) -> None:
    user = await persistence.new_user()
    session = await persistence.open_session(user.id)
    for n in range(1, 4):
        await persistence.new_task(user.id)
        identity = await persistence.identity(session)
        assert identity is not None
        assert identity.data_version == await persistence.data_version(user.id) == n


async def test_a_role_counts_from_the_moment_it_is_given(persistence: Persistence) -> None:
    user = await persistence.new_user()
    session = await persistence.open_session(user.id)
    for role in (Role.ADMIN, Role.MANAGER, Role.USER):
        async with persistence.transactions() as unit:
            loaded = await unit.users.load(user.id)
            assert loaded is not None
            loaded.role = role
            unit.users.save(loaded)
            await unit.commit()
        identity = await persistence.identity(session)
        assert identity is not None
        assert identity.role is role


@pytest.mark.parametrize(
    ("opened", "used", "live"),
    [
        (timedelta(), timedelta(), True),
        (timedelta(days=80), IDLE_LIFETIME - MINUTE, True),
        (timedelta(days=80), IDLE_LIFETIME + MINUTE, False),
        (LIFETIME - MINUTE, timedelta(), True),
        (LIFETIME + MINUTE, timedelta(), False),
    ],
)
async def test_a_session_lives_so_long(
    persistence: Persistence, opened: timedelta, used: timedelta, *, live: bool
) -> None:
    user = await persistence.new_user()
    session = await persistence.open_session(user.id, created_at=ago(opened), last_used_at=ago(used))
    assert (await persistence.identity(session) is not None) is live
    assert (len(await persistence.session_reads.sessions(user.id)) == 1) is live
    assert session.is_live(datetime.now(UTC)) is live


async def test_one_that_ended_is_nobodys(persistence: Persistence) -> None:
    user = await persistence.new_user()
    session = await persistence.open_session(user.id, ended_at=ago(MINUTE), end=End.LOGGED_OUT)
    assert await persistence.identity(session) is None


async def test_one_of_an_account_that_may_not_sign_in_is_nobodys(persistence: Persistence) -> None:
    user = await persistence.new_user()
    session = await persistence.open_session(user.id)
    for active in (False, True, False):
        async with persistence.transactions() as unit:
            loaded = await unit.users.load(user.id)
            assert loaded is not None
            loaded.active = active
            unit.users.save(loaded)
            await unit.commit()
        assert (await persistence.identity(session) is not None) is active


async def test_one_of_a_deleted_account_is_nobodys_before_and_after_the_purge(
    persistence: Persistence,
) -> None:
    user = await persistence.new_user()
    session = await persistence.open_session(user.id)
    await persistence.mark_deleted(user.id)
    assert await persistence.identity(session) is None
    await persistence.purge_all()
    assert await persistence.identity(session) is None


async def test_one_that_nobody_opened_or_another_did_is_nobodys(persistence: Persistence) -> None:
    user, other = await persistence.new_user(), await persistence.new_user()
    session = await persistence.open_session(user.id)
    for claims in (TokenClaims(other.id, session.id), TokenClaims(user.id, new_id())):
        assert await persistence.identities(claims) is None
    # Asked together, a question that is refused takes no other along.
    right, wrong = TokenClaims(user.id, session.id), TokenClaims(other.id, session.id)
    answers = await asyncio.gather(*(persistence.identities(claims) for claims in [right, wrong] * 3))
    assert [answer is not None for answer in answers] == [True, False] * 3


async def test_each_of_many_at_once_gets_its_own_answer(persistence: Persistence) -> None:
    users = [await persistence.new_user(role) for role in Role for _ in range(4)]
    sessions = [await persistence.open_session(user.id) for user in users]
    roles = {session.id: user.role for session, user in zip(sessions, users, strict=True)}
    asked = [*sessions, *(new_session(user.id) for user in users)] * 8
    answers = await asyncio.gather(*(persistence.identity(session) for session in asked))
    for session, answer in zip(asked, answers, strict=True):
        if session.id in roles:
            assert answer == Identity(session.id, session.user_id, roles[session.id], 0)
        else:
            assert answer is None


async def test_what_was_acknowledged_before_counts_whatever_is_asked_meanwhile(
    persistence: Persistence,
) -> None:
    user = await persistence.new_user()
    noise = await persistence.open_session(user.id)

    async def ask_on_and_on() -> None:
        while True:
            await persistence.identity(noise)
            await asyncio.sleep(0)

    askers = [asyncio.create_task(ask_on_and_on()) for _ in range(5)]
    for _ in range(25):
        session = await persistence.open_session(user.id)
        # Somebody asks for it just before it ends, and may be answered just after.
        before = asyncio.create_task(persistence.identity(session))
        async with persistence.transactions() as unit:
            found = await unit.sessions.load(session.id)
            assert found is not None
            found[0].finish(End.LOGGED_OUT, found[1])
            unit.sessions.save(found[0])
            await unit.commit()
        assert await persistence.identity(session) is None
        await before
    for asker in askers:
        asker.cancel()
    await asyncio.gather(*askers, return_exceptions=True)


async def test_who_gives_up_waiting_hurts_nobody(persistence: Persistence) -> None:
    user = await persistence.new_user()
    session = await persistence.open_session(user.id)

    for patience in range(6):
        tasks = [asyncio.create_task(persistence.identity(session)) for _ in range(20)]
        for _ in range(patience):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Memory answers at once, so there all but the first round were too late to give up.
        assert all(task.cancelled() or task.result() for task in tasks[::2])
        assert all(task.result() == Identity(session.id, user.id, Role.USER, 0) for task in tasks[1::2])
    assert await persistence.identity(session) is not None


class TestOverPostgres:
    """What memory cannot show."""

    @pytest.fixture
    async def counted(self, database_url: str) -> AsyncIterator[Any]:
        import psycopg

        with closing(psycopg.connect(database_url, autocommit=True)) as database:
            database.execute("CREATE EXTENSION pg_stat_statements")
            # All tests before this one may have run so much that PostgreSQL would forget some of this.
            database.execute("SELECT pg_stat_statements_reset()")
            yield database

    async def asked(self, database: Any) -> int:
        question = (
            "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements s "
            "JOIN pg_database d ON d.oid = s.dbid WHERE datname = current_database() "
            "AND query LIKE '%users.data_version%FROM sessions%'"
        )
        return int(database.execute(question).fetchone()[0])

    async def test_those_of_one_moment_share_a_statement(
        self, concurrent_persistence: Persistence, counted: Any
    ) -> None:
        user = await concurrent_persistence.new_user()
        sessions = [await concurrent_persistence.open_session(user.id) for _ in range(20)]
        await concurrent_persistence.identity(sessions[0])
        before = await self.asked(counted)
        assert before > 0
        answers = await asyncio.gather(
            *(concurrent_persistence.identity(session) for session in sessions * 10)
        )
        assert all(answers)
        assert await self.asked(counted) == before + 1

    async def test_what_arrives_while_two_are_under_way_is_one_more(
        self, concurrent_persistence: Persistence, counted: Any
    ) -> None:
        user = await concurrent_persistence.new_user()
        session = await concurrent_persistence.open_session(user.id)
        before = await self.asked(counted)
        asked = []
        with counted.transaction():
            counted.execute("LOCK TABLE sessions")
            for _ in range(20):
                asked.append(asyncio.create_task(concurrent_persistence.identity(session)))
                await asyncio.sleep(0.02)
        assert all(await asyncio.gather(*asked))
        assert await self.asked(counted) == before + 3

    async def test_nothing_is_asked_for_those_who_have_all_given_up(
        self, concurrent_persistence: Persistence, counted: Any
    ) -> None:
        user = await concurrent_persistence.new_user()
        session = await concurrent_persistence.open_session(user.id)
        assert await concurrent_persistence.identity(session)
        before = await self.asked(counted)
        asker = asyncio.create_task(concurrent_persistence.identity(session))
        asyncio.get_running_loop().call_soon(asker.cancel)
        await asyncio.wait([asker])
        assert asker.cancelled()
        assert await concurrent_persistence.identity(session)
        assert await self.asked(counted) == before + 1

    async def test_the_busier_the_fewer(self, concurrent_persistence: Persistence, counted: Any) -> None:
        user = await concurrent_persistence.new_user()
        session = await concurrent_persistence.open_session(user.id)

        async def ask_often() -> None:
            for _ in range(20):
                assert await concurrent_persistence.identity(session)

        before = await self.asked(counted)
        await asyncio.gather(*(ask_often() for _ in range(32)))
        assert await self.asked(counted) - before <= 2 * 20 + 2

    async def test_a_store_that_is_away_is_told_to_everyone_who_waits(self) -> None:
        from taskflow_sqlalchemy import SqlAlchemyIdentities, open_engine

        engine = open_engine("postgresql://nobody@127.0.0.1:9/nothing")
        identities = SqlAlchemyIdentities(engine)
        for _ in range(2):
            asked = (identities(TokenClaims(new_id(), new_id())) for _ in range(50))
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(answer) for answer in answers] == [Unavailable] * 50
        await engine.dispose()

    async def test_a_fault_of_ours_reaches_everyone_too_and_lets_nobody_in(
        self, concurrent_persistence: Persistence, counted: Any
    ) -> None:
        import psycopg

        user = await concurrent_persistence.new_user()
        session = await concurrent_persistence.open_session(user.id)
        counted.execute("ALTER TABLE sessions ALTER last_used_at TYPE text")
        asked = (concurrent_persistence.identity(session) for _ in range(20))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(answer) for answer in answers] == [psycopg.errors.UndefinedFunction] * 20
        counted.execute(
            "ALTER TABLE sessions ALTER last_used_at TYPE timestamptz USING last_used_at::timestamptz"
        )
        assert await concurrent_persistence.identity(session) is not None

    async def test_a_connection_that_was_cut_costs_nobody_an_answer(
        self, concurrent_persistence: Persistence, counted: Any
    ) -> None:
        user = await concurrent_persistence.new_user()
        session = await concurrent_persistence.open_session(user.id)
        for _ in range(3):
            counted.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'taskflow'"
            )
            answers = await asyncio.gather(*(concurrent_persistence.identity(session) for _ in range(10)))
            assert all(answers)
