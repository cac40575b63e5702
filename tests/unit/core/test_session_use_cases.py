"""Refreshing, being known by a token, looking at sessions and ending them, reading what happened."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from support.samples import NOW, OPERATOR, World, actor, new_event, new_id
from taskflow_core import (
    PERMISSIONS,
    Actor,
    End,
    EventQuery,
    EventType,
    InvalidInput,
    NotFound,
    Origin,
    RefreshReused,
    Role,
    Session,
    SessionView,
    Unauthenticated,
    User,
    UserView,
)
from taskflow_core.ports.security import TokenClaims
from taskflow_core.use_cases.auth.manage_sessions import own_id

SECOND = timedelta(seconds=1)
GRACE = 30 * SECOND


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def user(world: World) -> User:
    return world.add_user()


@pytest.fixture
def session(world: World, user: User) -> Session:
    return world.add_session(user.id)


class TestRefresh:
    async def test_the_current_token_gives_a_new_pair(
        self, world: World, user: User, session: Session
    ) -> None:
        token = world.refresh_tokens.of(session)
        now = world.clock.forward(10 * SECOND)
        answer = await world.use_cases.refresh(token)
        stored = world.store.sessions[session.id]
        assert stored == replace(session, generation=2, replaced=(now,), last_used_at=now)
        assert answer.user == UserView.of(user)
        assert answer.refresh_token == world.refresh_tokens.of(stored) != token
        assert world.tokens.check(answer.access_token.value, now) == TokenClaims(user.id, session.id)
        assert world.events() == []

    async def test_one_replaced_a_moment_ago_gives_the_current_one_again(
        self, world: World, session: Session
    ) -> None:
        token = world.refresh_tokens.of(session)
        first = await world.use_cases.refresh(token)
        stored = replace(world.store.sessions[session.id])
        world.clock.forward(GRACE)
        again = await world.use_cases.refresh(token)
        assert again.refresh_token == first.refresh_token
        assert again.access_token != first.access_token
        assert world.store.sessions[session.id] == stored
        assert world.events() == []

    async def test_one_replaced_long_ago_ends_the_session_and_is_told(
        self, world: World, user: User, session: Session
    ) -> None:
        token = world.refresh_tokens.of(session)
        answer = await world.use_cases.refresh(token)
        now = world.clock.forward(GRACE + SECOND)
        with pytest.raises(RefreshReused):
            await world.use_cases.refresh(token)
        stored = world.store.sessions[session.id]
        assert (stored.ended_at, stored.end) == (now, End.REFRESH_REUSED)
        (event,) = world.events()
        assert (event.type, event.user_id, event.at) == (EventType.REFRESH_REUSED, user.id, now)
        assert event.detail == {"sessionId": str(session.id)}
        for over in (token, answer.refresh_token):
            with pytest.raises(Unauthenticated) as caught:
                await world.use_cases.refresh(over)
            assert type(caught.value) is Unauthenticated
        with pytest.raises(Unauthenticated):
            await world.use_cases.authenticate(answer.access_token.value, None)
        assert world.events() == [event]

    async def test_without_grace_a_token_is_good_once(self, user: User) -> None:
        world = World(refresh_grace=timedelta())
        world.store.put_user(user)
        session = world.add_session(user.id)
        token = world.refresh_tokens.of(session)
        answer = await world.use_cases.refresh(token)
        await world.use_cases.refresh(answer.refresh_token)
        with pytest.raises(RefreshReused):
            await world.use_cases.refresh(token)

    async def test_what_was_not_given_out_ends_nothing(self, world: World, session: Session) -> None:
        before, of = replace(session), world.refresh_tokens.of
        token = of(session)
        mac = token.rpartition(".")[2]
        forged = [
            *("", "a.b.c", "x" * 100_000, "\ud800", token.upper(), token + "\n", token[:-1], token[1:]),
            *(f"{session.id}.1.{'0' * 64}", f"{session.id}.2.{mac}", f"{new_id()}.1.{mac}"),
            World().refresh_tokens.of(session),
            of(replace(session, seed=b"another" * 5)),
            of(replace(session, id=new_id())),
            of(replace(session, generation=2)),
            of(replace(session, generation=99_999)),
            world.tokens.issue(TokenClaims(session.user_id, session.id), NOW).value,
        ]
        for each in forged:
            with pytest.raises(Unauthenticated) as caught:
                await world.use_cases.refresh(each)
            assert type(caught.value) is Unauthenticated
            assert world.store.sessions == {session.id: before}
        assert world.events() == []
        await world.use_cases.refresh(token)

    @pytest.mark.parametrize("how", ["ended", "idle", "too old"])
    async def test_a_session_that_is_over_gives_nothing(
        self, world: World, session: Session, how: str
    ) -> None:
        stored = world.store.sessions[session.id]
        match how:
            case "ended":
                stored.finish(End.LOGGED_OUT, NOW)
            case "idle":
                world.clock.forward(timedelta(days=30))
            case _:
                stored.last_used_at = world.clock.forward(timedelta(days=90))
        with pytest.raises(Unauthenticated):
            await world.use_cases.refresh(world.refresh_tokens.of(session))
        assert world.events() == []

    @pytest.mark.parametrize("how", ["inactive", "deleted", "purged"])
    async def test_an_account_that_may_not_sign_in_gets_nothing(
        self, world: World, user: User, session: Session, how: str
    ) -> None:
        stored = world.store.users[user.id]
        match how:
            case "inactive":
                stored.active = False
            case "deleted":
                stored.mark_deleted(NOW)
            case _:
                world.store.remove([], [user.id])
        with pytest.raises(Unauthenticated):
            await world.use_cases.refresh(world.refresh_tokens.of(session))

    async def test_the_role_in_the_answer_is_that_of_now(
        self, world: World, user: User, session: Session
    ) -> None:
        world.store.users[user.id].role = Role.ADMIN
        answer = await world.use_cases.refresh(world.refresh_tokens.of(session))
        assert answer.user.role is Role.ADMIN


class TestAuthenticate:
    def token(self, world: World, user_id: object, session: Session) -> str:
        return world.tokens.issue(TokenClaims(user_id, session.id), world.clock.now).value  # type: ignore[arg-type]

    @pytest.mark.parametrize("role", Role)
    async def test_a_token_says_who_and_the_store_what_that_one_may(
        self, world: World, user: User, session: Session, role: Role
    ) -> None:
        token = self.token(world, user.id, session)
        world.store.users[user.id].role = role
        expected = Actor(user.id, PERMISSIONS[role], "request", session.id)
        assert await world.use_cases.authenticate(token, "request") == expected
        assert (await world.use_cases.authenticate(token, None)).request_id is None

    async def test_a_token_ends_by_its_own_time(self, world: World, user: User, session: Session) -> None:
        token = self.token(world, user.id, session)
        world.clock.forward(timedelta(minutes=15))
        with pytest.raises(Unauthenticated):
            await world.use_cases.authenticate(token, None)

    @pytest.mark.parametrize("how", ["ended", "idle", "inactive", "deleted", "not there"])
    async def test_and_with_its_session(self, world: World, user: User, session: Session, how: str) -> None:
        match how:
            case "ended":
                world.store.sessions[session.id].finish(End.LOGGED_OUT, NOW)
            case "idle":
                world.clock.forward(timedelta(days=30))
            case "inactive":
                world.store.users[user.id].active = False
            case "deleted":
                world.store.users[user.id].mark_deleted(NOW)
            case _:
                session = replace(session, id=new_id())
        with pytest.raises(Unauthenticated):
            await world.use_cases.authenticate(self.token(world, user.id, session), None)

    async def test_nobody_asks_in_the_session_of_another(self, world: World, session: Session) -> None:
        thief = world.add_user(Role.ADMIN)
        with pytest.raises(Unauthenticated):
            await world.use_cases.authenticate(self.token(world, thief.id, session), None)

    @pytest.mark.parametrize("kind", ["refresh", "garbage", "empty"])
    async def test_no_other_token_is_believed(self, world: World, session: Session, kind: str) -> None:
        token = {"refresh": world.refresh_tokens.of(session), "garbage": "x.y.z", "empty": ""}[kind]
        with pytest.raises(Unauthenticated):
            await world.use_cases.authenticate(token, None)


class TestEnding:
    @pytest.mark.parametrize(
        ("who", "end"),
        [
            ("in it", End.LOGGED_OUT),
            ("in another", End.ENDED_BY_USER),
            ("outside of any", End.ENDED_BY_USER),
            ("an admin", End.ENDED_BY_OPERATOR),
            ("the operator", End.ENDED_BY_OPERATOR),
        ],
    )
    async def test_one_ends_and_why_is_kept(
        self, world: World, user: User, session: Session, who: str, end: End
    ) -> None:
        other = world.add_session(user.id)
        asking = {
            "in it": actor(user, session_id=session.id),
            "in another": actor(user, session_id=other.id),
            "outside of any": actor(user),
            "an admin": actor(world.add_user(Role.ADMIN)),
            "the operator": OPERATOR,
        }[who]
        now = world.clock.forward()
        await world.use_cases.end_session(session.id, asking)
        assert world.store.sessions[session.id] == replace(session, ended_at=now, end=end)
        assert world.store.sessions[other.id] == other
        with pytest.raises(NotFound):
            await world.use_cases.end_session(session.id, asking)

    async def test_rights_that_end_before_it_are_gone(self, world: World, session: Session) -> None:
        admin = world.add_user(Role.ADMIN)
        asking = actor(admin, session_id=world.add_session(admin.id).id)
        world.store.users[admin.id].role = Role.MANAGER
        with pytest.raises(NotFound):
            await world.use_cases.end_session(session.id, asking)
        assert asking.session_id is not None
        world.store.sessions[asking.session_id].finish(End.LOGGED_OUT, NOW)
        with pytest.raises(Unauthenticated):
            await world.use_cases.end_session(session.id, asking)
        assert world.store.sessions[session.id] == session

    async def test_what_a_stranger_tries_ends_nothing(self, world: World, session: Session) -> None:
        for stranger in (world.add_user(), world.add_user(Role.MANAGER)):
            with pytest.raises(NotFound):
                await world.use_cases.end_session(session.id, actor(stranger))
        assert world.store.sessions[session.id] == session

    @pytest.mark.parametrize(
        ("by_operator", "end"), [(False, End.ENDED_BY_USER), (True, End.ENDED_BY_OPERATOR)]
    )
    async def test_all_end_with_the_present_one(
        self, world: World, user: User, session: Session, *, by_operator: bool, end: End
    ) -> None:
        mine = [session, world.add_session(user.id)]
        anothers = world.add_session(world.add_user().id)
        asking = OPERATOR if by_operator else actor(user, session_id=session.id)
        now = world.clock.forward()
        await world.use_cases.end_sessions(user.id, asking)
        for each in mine:
            assert world.store.sessions[each.id] == replace(each, ended_at=now, end=end)
        assert world.store.sessions[anothers.id] == anothers
        assert await world.use_cases.list_sessions(user.id, asking) == ()

    def test_only_the_operator_is_nobody(self, user: User) -> None:
        assert own_id(actor(user)) == user.id
        with pytest.raises(Unauthenticated):
            own_id(OPERATOR)


async def test_one_sees_ones_live_sessions(world: World, user: User) -> None:
    first = world.add_session(user.id, origin=Origin(user_agent="agent"))
    second = world.add_session(user.id, last_used_at=NOW + SECOND)
    world.add_session(user.id, ended_at=NOW, end=End.LOGGED_OUT)
    world.clock.forward()
    assert await world.use_cases.list_sessions(user.id, actor(user)) == (
        SessionView(second.id, NOW, NOW + SECOND, None),
        SessionView(first.id, NOW, NOW, "agent"),
    )


class TestEvents:
    async def test_one_reads_what_happened_to_oneself(self, world: World, user: User) -> None:
        other = world.add_user()
        events = [new_event(owner.id) for owner in (user, other, user, user)]
        for event in events:
            world.store.put_event(event)
        first = await world.use_cases.read_events(EventQuery(owner=user.id, limit=2), actor(user))
        assert first.items == (events[3], events[2])
        query = EventQuery(owner=user.id, limit=2, after=first.next)
        rest = await world.use_cases.read_events(query, actor(user))
        assert (rest.items, rest.next) == ((events[0],), None)
        everything = await world.use_cases.read_events(EventQuery(owner=None), OPERATOR)
        assert everything.items == tuple(events[::-1])

    @pytest.mark.parametrize("limit", [-1, 0, 101])
    async def test_a_page_has_1_to_100(self, world: World, user: User, limit: int) -> None:
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.read_events(EventQuery(owner=user.id, limit=limit), actor(user))
        assert [fault.path for fault in caught.value.faults] == [("limit",)]


ACTIONS: dict[str, Callable[[World, Session, Actor], Awaitable[object]]] = {
    "end_session": lambda world, session, who: world.use_cases.end_session(session.id, who),
    "end_sessions": lambda world, session, who: world.use_cases.end_sessions(session.user_id, who),
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
async def test_a_token_is_worth_nothing_right_after(
    world: World, session: Session, action: Callable[[World, Session, Actor], Awaitable[object]]
) -> None:
    answer = await world.use_cases.refresh(world.refresh_tokens.of(session))
    me = await world.use_cases.authenticate(answer.access_token.value, None)
    await action(world, session, me)
    with pytest.raises(Unauthenticated):
        await world.use_cases.authenticate(answer.access_token.value, None)
    with pytest.raises(Unauthenticated):
        await world.use_cases.refresh(answer.refresh_token)
