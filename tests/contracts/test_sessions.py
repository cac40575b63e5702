"""Sessions and security events are kept whole or not at all, and only for whom they may be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, entry_of, new_event, new_id, new_session, new_task, new_user
from taskflow_core import (
    EmailTaken,
    End,
    EventType,
    InvalidCredentials,
    NotFound,
    Origin,
    Session,
    UnknownOwner,
    User,
)

NASTY = "Zoë's “naïve” 雪だるま \U0001f680 %_\\ \" '; DROP TABLE users; -- {1,2}"
LATER = NOW + timedelta(hours=1)


def full_session(user: User) -> Session:
    """A session in which nothing is as a new one has it."""
    return new_session(
        user.id,
        seed=bytes(range(256)),
        origin=Origin("an address", "a network", NASTY),
        generation=7,
        replaced=(NOW + timedelta(seconds=3, microseconds=7), NOW + timedelta(seconds=2)),
        created_at=NOW + timedelta(seconds=1),
        last_used_at=NOW + timedelta(seconds=4),
        ended_at=NOW + timedelta(seconds=5),
        end=End.REFRESH_REUSED,
    )


class TestRoundTrips:
    async def test_a_session_comes_back_with_every_field(self, persistence: Persistence) -> None:
        session = full_session(await persistence.new_user())
        async with persistence.transactions() as unit:
            unit.sessions.open(session, password_version=1)
            await unit.commit()
        stored = await persistence.session(session.id)
        assert stored == session
        assert isinstance(stored, Session)
        assert (type(stored.seed), type(stored.end), type(stored.replaced)) == (bytes, End, tuple)
        times = (stored.created_at, stored.last_used_at, stored.ended_at, *stored.replaced)
        assert all(time is not None and time.utcoffset() == timedelta(0) for time in times)

    async def test_one_with_nothing_where_it_has_nothing_too(self, persistence: Persistence) -> None:
        session = await persistence.open_session((await persistence.new_user()).id)
        assert (session.origin, session.replaced, session.ended_at) == (Origin(), (), None)
        assert await persistence.session(session.id) == session

    async def test_saving_writes_all_that_can_change(self, persistence: Persistence) -> None:
        user = await persistence.new_user()
        before = await persistence.open_session(user.id)
        full = full_session(user)
        after = replace(full, id=before.id, seed=before.seed, origin=before.origin)
        after.created_at = before.created_at
        async with persistence.transactions() as unit:
            await unit.sessions.load(before.id)
            unit.sessions.save(after)
            await unit.commit()
        assert await persistence.session(before.id) == after

    @pytest.mark.parametrize("end", End)
    async def test_every_reason_to_end_comes_back(self, persistence: Persistence, end: End) -> None:
        session = await persistence.open_session((await persistence.new_user()).id, ended_at=NOW, end=end)
        stored = await persistence.session(session.id)
        assert stored is not None
        assert stored.end is end

    async def test_one_that_is_not_there_is_none(self, persistence: Persistence) -> None:
        assert await persistence.session(new_id()) is None

    async def test_what_was_handed_out_is_a_copy(self, persistence: Persistence) -> None:
        session = await persistence.open_session((await persistence.new_user()).id)
        as_stored = replace(session)
        loaded = await persistence.session(session.id)
        assert loaded is not None
        for mine in (session, loaded):
            mine.generation = 99
        assert await persistence.session(session.id) == as_stored

    async def test_the_time_that_comes_along_is_the_present(self, persistence: Persistence) -> None:
        session = await persistence.open_session((await persistence.new_user()).id)
        async with persistence.transactions() as unit:
            found = await unit.sessions.load(session.id)
        assert found is not None
        assert abs(found[1] - datetime.now(UTC)) < timedelta(seconds=30)
        assert found[1].utcoffset() == timedelta(0)

    @pytest.mark.parametrize("kind", EventType)
    async def test_an_event_comes_back_with_every_field(
        self, persistence: Persistence, kind: EventType
    ) -> None:
        user = await persistence.new_user()
        event = new_event(user.id, type=kind, at=LATER, detail={"a": NASTY, "b": ""})
        await persistence.add_events(event)
        (stored,) = await persistence.events()
        assert stored == event
        assert isinstance(stored.type, EventType)


WRONG_VERSIONS = [0, 2, 99]


class TestOpening:
    @pytest.mark.parametrize("kind", ["inactive", "marked", "unknown"])
    async def test_nobody_but_an_active_account_gets_a_session(
        self, persistence: Persistence, kind: str
    ) -> None:
        user = new_user(active=kind != "inactive")
        if kind != "unknown":
            await persistence.add_users(user)
        if kind == "marked":
            await persistence.mark_deleted(user.id)
        session = new_session(user.id)
        async with persistence.transactions() as unit:
            unit.sessions.open(session, password_version=1)
            with pytest.raises(InvalidCredentials):
                await unit.commit()
        assert await persistence.session(session.id) is None

    @pytest.mark.parametrize("version", WRONG_VERSIONS)
    async def test_nobody_gets_one_by_another_password(self, persistence: Persistence, version: int) -> None:
        user = await persistence.new_user()
        with pytest.raises(InvalidCredentials):
            await persistence.open_session(user.id, password_version=version)
        assert await persistence.session_reads.sessions(user.id) == ()

    @pytest.mark.parametrize("refused_first", [False, True])
    @pytest.mark.parametrize("beside", ["nothing", "an event", "a session", "a task"])
    async def test_one_is_refused_whatever_is_beside_it(
        self, persistence: Persistence, beside: str, *, refused_first: bool
    ) -> None:
        user = await persistence.new_user()
        fine, refused, task = new_session(user.id), new_session(user.id), new_task(user.id)
        async with persistence.transactions() as unit:
            if refused_first:
                unit.sessions.open(refused, password_version=2)
            match beside:
                case "an event":
                    unit.events.add(new_event(user.id))
                case "a session":
                    unit.sessions.open(fine, password_version=1)
                case "a task":
                    unit.sessions.open(fine, password_version=1)
                    unit.tasks.add(task, entry_of(task))
                case _:
                    pass
            if not refused_first:
                unit.sessions.open(refused, password_version=2)
            with pytest.raises(InvalidCredentials):
                await unit.commit()
        assert await persistence.session_reads.sessions(user.id) == ()
        assert await persistence.session(fine.id) is None
        assert await persistence.task(task.id) is None
        assert await persistence.events() == []

    async def test_a_refusal_takes_back_all_that_came_along(self, persistence: Persistence) -> None:
        user, other = await persistence.new_user(), await persistence.new_user()
        newcomer, fine, task = new_user(), new_session(other.id), new_task(other.id)
        async with persistence.transactions() as unit:
            loaded = await unit.users.load(user.id)
            assert loaded is not None
            loaded.name = "Another"
            unit.users.save(loaded)
            unit.users.add(newcomer)
            unit.tasks.add(task, entry_of(task))
            unit.sessions.open(fine, password_version=1)
            unit.sessions.open(new_session(user.id), password_version=2)
            unit.events.add(new_event(user.id))
            with pytest.raises(InvalidCredentials):
                await unit.commit()
        assert await persistence.user(user.id) == user
        assert await persistence.user(newcomer.id) is None
        assert await persistence.task(task.id) is None
        assert await persistence.session(fine.id) is None
        assert await persistence.events() == []

    async def test_an_account_its_session_and_what_is_told_of_it_are_one_unit(
        self, persistence: Persistence
    ) -> None:
        user = new_user()
        session, event, task = new_session(user.id), new_event(user.id), new_task(user.id)
        async with persistence.transactions() as unit:
            unit.users.add(user)
            unit.sessions.open(session, password_version=1)
            unit.events.add(event)
            unit.tasks.add(task, entry_of(task))
            await unit.commit()
        assert await persistence.user(user.id) == user
        assert await persistence.session(session.id) == session
        assert await persistence.task(task.id) == task
        assert await persistence.events(user.id) == [event]

    async def test_an_account_that_is_refused_has_no_session(self, persistence: Persistence) -> None:
        first = await persistence.new_user()
        twin = new_user(email=first.email)
        session = new_session(twin.id)
        async with persistence.transactions() as unit:
            unit.users.add(twin)
            unit.sessions.open(session, password_version=1)
            with pytest.raises(EmailTaken):
                await unit.commit()
        assert await persistence.session(session.id) is None

    async def test_a_task_of_nobody_takes_the_session_back(self, persistence: Persistence) -> None:
        user = await persistence.new_user()
        session, orphan = new_session(user.id), new_task(new_id())
        async with persistence.transactions() as unit:
            unit.sessions.open(session, password_version=1)
            unit.tasks.add(orphan, entry_of(orphan))
            with pytest.raises(UnknownOwner):
                await unit.commit()
        assert await persistence.session(session.id) is None

    async def test_one_is_opened_by_the_password_that_the_same_unit_sets(
        self, persistence: Persistence
    ) -> None:
        user = await persistence.new_user()
        session = new_session(user.id)
        async with persistence.transactions() as unit:
            loaded = await unit.users.load(user.id)
            assert loaded is not None
            loaded.set_password("new", LATER)
            unit.users.save(loaded)
            unit.sessions.open(session, password_version=2)
            await unit.commit()
        assert await persistence.session(session.id) == session

    async def test_the_store_serves_on_after_a_refusal(self, persistence: Persistence) -> None:
        user = await persistence.new_user()
        for _ in range(30):  # more than any pool has connections
            with pytest.raises(InvalidCredentials):
                await persistence.open_session(user.id, password_version=2)
        session = await persistence.open_session(user.id)
        assert await persistence.session(session.id) == session

    async def test_leaving_without_commit_keeps_nothing(self, persistence: Persistence) -> None:
        user = await persistence.new_user()
        open_already, new = await persistence.open_session(user.id), new_session(user.id)
        async with persistence.transactions() as unit:
            found = await unit.sessions.load(open_already.id)
            assert found is not None
            found[0].finish(End.LOGGED_OUT, LATER)
            unit.sessions.save(found[0])
            unit.sessions.open(new, password_version=1)
            unit.sessions.end_all(user.id, End.LOGGED_OUT, LATER)
            unit.events.add(new_event(user.id))
        assert await persistence.session(open_already.id) == open_already
        assert await persistence.session(new.id) is None
        assert await persistence.events() == []


class TestEndingAll:
    async def end_all(self, persistence: Persistence, user: User, but: Session | None) -> None:
        async with persistence.transactions() as unit:
            unit.sessions.end_all(user.id, End.PASSWORD_CHANGED, LATER, but=but.id if but else None)
            await unit.commit()

    async def test_every_live_one_ends_and_no_other(self, persistence: Persistence) -> None:
        user, other = await persistence.new_user(), await persistence.new_user()
        live = [await persistence.open_session(user.id) for _ in range(3)]
        over = await persistence.open_session(user.id, ended_at=NOW, end=End.LOGGED_OUT)
        anothers = await persistence.open_session(other.id)
        await self.end_all(persistence, user, None)
        for session in live:
            expected = replace(session, ended_at=LATER, end=End.PASSWORD_CHANGED)
            assert await persistence.session(session.id) == expected
        assert await persistence.session(over.id) == over
        assert await persistence.session(anothers.id) == anothers

    async def test_one_may_stay(self, persistence: Persistence) -> None:
        user = await persistence.new_user()
        stays, goes = [await persistence.open_session(user.id) for _ in range(2)]
        await self.end_all(persistence, user, stays)
        assert await persistence.session(stays.id) == stays
        ended = await persistence.session(goes.id)
        assert ended is not None
        assert ended.end is End.PASSWORD_CHANGED

    async def test_those_that_the_unit_itself_opens_end_too(self, persistence: Persistence) -> None:
        user = await persistence.new_user()
        session = new_session(user.id)
        async with persistence.transactions() as unit:
            unit.sessions.end_all(user.id, End.DEACTIVATED, LATER)
            unit.sessions.open(session, password_version=1)
            await unit.commit()
        assert await persistence.session(session.id) == replace(session, ended_at=LATER, end=End.DEACTIVATED)

    async def test_who_has_none_may_be_asked_to(self, persistence: Persistence) -> None:
        await self.end_all(persistence, await persistence.new_user(), None)
        await self.end_all(persistence, new_user(), None)


class TestBelonging:
    async def test_an_event_of_nobody_is_refused_with_all_that_came_along(
        self, persistence: Persistence
    ) -> None:
        user = await persistence.new_user()
        with pytest.raises(NotFound):
            await persistence.add_events(new_event(user.id), new_event(new_id()))
        assert await persistence.events() == []

    async def test_a_purged_account_takes_its_sessions_and_events_along(
        self, persistence: Persistence
    ) -> None:
        gone, stays = await persistence.new_user(), await persistence.new_user()
        sessions = [await persistence.open_session(user.id) for user in (gone, stays)]
        events = [new_event(gone.id), new_event(stays.id)]
        await persistence.add_events(*events)
        await persistence.mark_deleted(gone.id)
        await persistence.purge_all()
        assert await persistence.session(sessions[0].id) is None
        assert await persistence.session(sessions[1].id) == sessions[1]
        assert await persistence.events() == events[1:]
