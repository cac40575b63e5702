"""Questions about sessions and what happened to accounts, and what signing in asks first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, new_event, new_id
from taskflow_core import End, EventQuery, EventType, Origin, Position, SecurityEvent, SessionView

LATER = NOW + timedelta(hours=1)


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


class TestSessions:
    async def test_the_last_used_come_first(self, persistence: Persistence) -> None:
        user, other = await persistence.new_user(), await persistence.new_user()
        opened = [
            await persistence.open_session(
                user.id,
                created_at=ago(100),
                last_used_at=ago(minutes),
                origin=Origin("an address", "a network", f"agent {minutes}"),
            )
            for minutes in (20, 10, 30)
        ]
        await persistence.open_session(other.id)
        await persistence.open_session(user.id, ended_at=NOW, end=End.LOGGED_OUT)
        assert await persistence.session_reads.sessions(user.id) == tuple(
            SessionView(session.id, session.created_at, session.last_used_at, session.origin.user_agent)
            for session in (opened[1], opened[0], opened[2])
        )

    async def test_of_those_used_at_once_the_newest_comes_first(self, persistence: Persistence) -> None:
        user, now = await persistence.new_user(), ago(1)
        opened = [await persistence.open_session(user.id, created_at=now, last_used_at=now) for _ in range(5)]
        found = await persistence.session_reads.sessions(user.id)
        assert [session.id for session in found] == sorted((s.id for s in opened), reverse=True)

    async def test_a_hundred_are_told(self, persistence: Persistence) -> None:
        user = await persistence.new_user()
        opened = [
            await persistence.open_session(user.id, created_at=ago(200), last_used_at=ago(minutes))
            for minutes in range(103)
        ]
        found = await persistence.session_reads.sessions(user.id)
        assert [session.id for session in found] == [session.id for session in opened[:100]]

    async def test_who_is_not_there_has_none(self, persistence: Persistence) -> None:
        assert await persistence.session_reads.sessions(new_id()) == ()


class TestEvents:
    async def filled(self, persistence: Persistence) -> list[SecurityEvent]:
        users = [await persistence.new_user() for _ in range(2)]
        kinds = [EventType.LOGIN_FAILURES, EventType.NEW_DEVICE, EventType.ROLE_CHANGED]
        events = [
            # The times lie crosswise: ids are the order.
            new_event(users[n % 2].id, type=kinds[n % 3], at=LATER - timedelta(minutes=n))
            for n in range(24)
        ]
        events = [replace(event, id=new_id()) for event in events]
        await persistence.add_events(*events)
        return events[::-1]

    async def test_the_newest_come_first(self, persistence: Persistence) -> None:
        events = await self.filled(persistence)
        assert await persistence.events() == events

    @pytest.mark.parametrize("limit", [1, 4, 5, 8, 100])
    @pytest.mark.parametrize("kind", [None, EventType.NEW_DEVICE, EventType.PASSWORD_CHANGED])
    @pytest.mark.parametrize("of_one", [False, True])
    async def test_every_one_is_on_one_page(
        self, persistence: Persistence, limit: int, kind: EventType | None, *, of_one: bool
    ) -> None:
        events = await self.filled(persistence)
        owner = events[0].user_id if of_one else None
        expected = [e for e in events if owner in (None, e.user_id) and kind in (None, e.type)]
        query = EventQuery(owner=owner, type=kind, limit=limit)
        seen: list[SecurityEvent] = []
        while True:
            page = await persistence.session_reads.events(query, NOW)
            assert len(page.items) <= limit
            seen += page.items
            # What happens meanwhile is not seen.
            await persistence.add_events(new_event(events[0].user_id, type=EventType.NEW_DEVICE))
            if page.next is None:
                break
            assert page.next == Position(None, page.items[-1].id, NOW)
            query = replace(query, after=page.next)
        assert seen == expected

    async def test_a_page_keeps_the_time_of_the_first(self, persistence: Persistence) -> None:
        events = await self.filled(persistence)
        first = await persistence.session_reads.events(EventQuery(owner=None, limit=2), NOW)
        query = EventQuery(owner=None, limit=2, after=first.next)
        second = await persistence.session_reads.events(query, LATER)
        assert second.items == tuple(events[2:4])
        assert second.next is not None
        assert second.next.as_of == NOW

    async def test_there_may_be_none(self, persistence: Persistence) -> None:
        assert await persistence.events() == []
        assert await persistence.events(new_id()) == []


HERE = Origin("address", "network", "agent")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([], HERE, (False, False, False)),
        ([HERE], HERE, (True, True, True)),
        ([HERE], replace(HERE, address="another"), (True, True, True)),
        ([HERE], replace(HERE, user_agent="another"), (False, True, True)),
        ([HERE], replace(HERE, network="another"), (False, False, True)),
        # One brought the network, another the agent: that is not the same.
        (
            [replace(HERE, network="another"), replace(HERE, user_agent="another")],
            HERE,
            (False, True, True),
        ),
        ([Origin()], HERE, (False, False, True)),
        ([HERE], Origin(), (False, False, True)),
        ([Origin()], Origin(), (True, True, True)),
        ([replace(HERE, user_agent=None)], replace(HERE, user_agent=None), (True, True, True)),
        ([Origin(user_agent="x" * 400)], Origin(user_agent="x" * 500), (True, True, True)),
    ],
)
@pytest.mark.parametrize("over", [False, True])
async def test_where_somebody_signed_in_before_is_known(
    persistence: Persistence,
    before: list[Origin],
    now: Origin,
    expected: tuple[bool, bool, bool],
    *,
    over: bool,
) -> None:
    user, other = await persistence.new_user(), await persistence.new_user()
    ended_at, end = (NOW, End.LOGGED_OUT) if over else (None, None)
    for origin in before:
        await persistence.open_session(user.id, origin=origin, ended_at=ended_at, end=end)
    await persistence.open_session(other.id, origin=now)
    found = await persistence.user_reads.credentials(user.email, now)
    assert found is not None
    assert (found.known_origin, found.known_network, found.has_signed_in) == expected
