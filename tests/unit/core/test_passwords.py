"""Changing a password: one's own by the present one, another's by permission."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.samples import NOW, OPERATOR, PASSWORD, World, actor
from taskflow_core import (
    Actor,
    End,
    EventType,
    InvalidCredentials,
    InvalidInput,
    LogInAttempt,
    NotFound,
    Overloaded,
    PasswordChange,
    PasswordReset,
    Role,
    TooManyAttempts,
    Unauthenticated,
    User,
)

NEW = "another long password"
CHANGE = PasswordChange(PASSWORD, NEW)


@pytest.fixture
def world() -> World:
    return World()


async def account(world: World, role: Role = Role.USER) -> User:
    return world.add_user(role, password_hash=await world.passwords.hash(PASSWORD))


class TestOnesOwn:
    async def test_it_is_another_and_all_other_sessions_end(self, world: World) -> None:
        user, other = await account(world), world.add_user()
        here, there = world.add_session(user.id), world.add_session(user.id)
        anothers = world.add_session(other.id)
        now = world.clock.forward()
        await world.use_cases.change_password(CHANGE, actor(user, session_id=here.id))
        stored = world.store.users[user.id]
        assert await world.passwords.verify(NEW, stored.password_hash)
        assert (stored.password_version, stored.version, stored.updated_at) == (2, 2, now)
        assert world.store.sessions == {
            here.id: here,
            there.id: replace(there, ended_at=now, end=End.PASSWORD_CHANGED),
            anothers.id: anothers,
        }
        (event,) = world.events()
        assert (event.type, event.user_id, event.at) == (EventType.PASSWORD_CHANGED, user.id, now)
        assert event.detail == {"by": str(user.id)}

    async def test_old_and_new_one_are_normalized(self, world: World) -> None:
        composed, decomposed = "ténèbres", "te\u0301ne\u0300bres"
        user = world.add_user(password_hash=await world.passwords.hash(composed))
        change = PasswordChange(decomposed, f"{decomposed} 2")
        await world.use_cases.change_password(change, actor(user))
        assert await world.passwords.verify(f"{composed} 2", world.store.users[user.id].password_hash)

    async def test_the_old_one_opens_nothing_and_the_new_one_does(self, world: World) -> None:
        user = await account(world)
        await world.use_cases.change_password(CHANGE, actor(user))
        with pytest.raises(InvalidCredentials):
            await world.use_cases.log_in(LogInAttempt(user.email, PASSWORD))
        await world.use_cases.log_in(LogInAttempt(user.email, NEW))

    @pytest.mark.parametrize("wrong", ["", "wrong password", PASSWORD + "\0", "x" * 1_000_000])
    async def test_without_the_present_one_nothing_changes(self, world: World, wrong: str) -> None:
        user = await account(world)
        session = world.add_session(user.id)
        with pytest.raises(InvalidCredentials):
            await world.use_cases.change_password(PasswordChange(wrong, NEW), actor(user))
        assert world.store.users[user.id] == user
        assert world.store.sessions == {session.id: session}
        assert world.events() == []

    async def test_a_stolen_session_cannot_guess_it(self, world: World) -> None:
        user = await account(world)
        for _ in range(5):
            with pytest.raises(InvalidCredentials):
                await world.use_cases.change_password(PasswordChange("wrong", NEW), actor(user))
        for current in ("wrong", PASSWORD):
            with pytest.raises(TooManyAttempts) as caught:
                await world.use_cases.change_password(PasswordChange(current, NEW), actor(user))
            assert caught.value.retry_after == 1
        # Nor does it keep the owner from signing in.
        await world.use_cases.log_in(LogInAttempt(user.email, PASSWORD))
        world.clock.forward(timedelta(seconds=1))
        await world.use_cases.change_password(CHANGE, actor(user))
        assert world.store.attempts == {}

    async def test_where_nobody_has_time_to_look_it_was_no_try(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = await account(world)

        async def busy(*_: object, **__: object) -> bool:
            raise Overloaded

        with monkeypatch.context() as patched:
            patched.setattr(world.passwords, "verify", busy)
            for _ in range(6):
                with pytest.raises(Overloaded):
                    await world.use_cases.change_password(CHANGE, actor(user))
        await world.use_cases.change_password(CHANGE, actor(user))

    @pytest.mark.parametrize("new", ["short", "x" * 257, "password123", "\ud800" * 9])
    async def test_the_new_one_minds_the_rules(
        self, world: World, new: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = await account(world)
        # What is refused costs no hash and is no try.
        monkeypatch.setattr(world.passwords, "verify", None)
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.change_password(PasswordChange(PASSWORD, new), actor(user))
        assert [fault.path for fault in caught.value.faults] == [("new_password",)]
        assert world.store.attempts == {}
        assert world.store.users[user.id] == user

    @pytest.mark.parametrize("own", ["name", "email"])
    async def test_nor_is_it_ones_name_or_email(self, world: World, own: str) -> None:
        user = await account(world)
        world.store.users[user.id].name = "Ada Lovelace"
        new = "ADA LOVELACE" if own == "name" else user.email.upper()
        with pytest.raises(InvalidInput):
            await world.use_cases.change_password(PasswordChange(PASSWORD, new), actor(user))

    async def test_of_two_changes_at_once_by_the_same_password_one_holds(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = await account(world)
        real = world.passwords.hash

        async def overtaken(password: str) -> str:
            monkeypatch.setattr(world.passwords, "hash", real)
            await world.use_cases.change_password(PasswordChange(PASSWORD, "the first of two"), actor(user))
            return await real(password)

        monkeypatch.setattr(world.passwords, "hash", overtaken)
        with pytest.raises(InvalidCredentials):
            await world.use_cases.change_password(CHANGE, actor(user))
        assert await world.passwords.verify("the first of two", world.store.users[user.id].password_hash)

    @pytest.mark.parametrize("who", ["the operator", "somebody deleted"])
    async def test_who_has_no_account_changes_none(self, world: World, who: str) -> None:
        user = await account(world)
        world.store.users[user.id].mark_deleted(NOW)
        asking = OPERATOR if who == "the operator" else actor(user)
        with pytest.raises(Unauthenticated):
            await world.use_cases.change_password(CHANGE, asking)


class TestAnothers:
    @pytest.mark.parametrize("by", ["an admin", "the operator"])
    async def test_it_is_set_without_the_old_one_and_all_sessions_end(self, world: World, by: str) -> None:
        user, admin = await account(world), world.add_user(Role.ADMIN)
        sessions = [world.add_session(user.id) for _ in range(2)]
        admins = world.add_session(admin.id)
        asking = actor(admin, session_id=admins.id) if by == "an admin" else OPERATOR
        now = world.clock.forward()
        await world.use_cases.reset_password(PasswordReset(user.id, NEW), asking)
        stored = world.store.users[user.id]
        assert await world.passwords.verify(NEW, stored.password_hash)
        assert stored.password_version == 2
        for session in sessions:
            ended = replace(session, ended_at=now, end=End.PASSWORD_CHANGED)
            assert world.store.sessions[session.id] == ended
        assert world.store.sessions[admins.id] == admins
        (event,) = world.events()
        assert (event.type, event.user_id) == (EventType.PASSWORD_CHANGED, user.id)
        assert event.detail == {"by": str(admin.id) if by == "an admin" else "operator"}

    async def test_it_minds_the_rules_too(self, world: World) -> None:
        user = await account(world)
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.reset_password(PasswordReset(user.id, "password"), OPERATOR)
        assert [fault.path for fault in caught.value.faults] == [("password",)]

    async def test_an_account_that_goes_while_it_is_hashed_is_not_found(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = await account(world)

        async def slow(_: str) -> str:
            world.store.users[user.id].mark_deleted(NOW)
            return "hash"

        monkeypatch.setattr(world.passwords, "hash", slow)
        with pytest.raises(NotFound):
            await world.use_cases.reset_password(PasswordReset(user.id, NEW), OPERATOR)


def test_a_password_is_not_shown() -> None:
    user_id = Actor.operator().id
    assert PASSWORD not in repr(CHANGE)
    assert NEW not in repr(CHANGE)
    shown = repr(PasswordReset(user_id, NEW))  # type: ignore[arg-type]  # whoever it is
    assert NEW not in shown
    assert "user_id" in shown
