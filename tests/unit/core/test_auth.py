"""Registering and signing in."""

from typing import Any

import pytest

from support.samples import NOW, PASSWORD, World
from taskflow_core import (
    EmailTaken,
    InvalidCredentials,
    InvalidInput,
    LogInAttempt,
    Registration,
    Role,
    User,
    UserView,
)
from taskflow_core.ports.security import TokenClaims


@pytest.fixture
def world() -> World:
    return World()


async def account(world: World, email: str = "ada@example.com", **given: Any) -> User:
    return world.add_user(email=email, password_hash=await world.passwords.hash(PASSWORD), **given)


class TestRegister:
    async def test_the_account_is_a_users_and_signed_in(self, world: World) -> None:
        command = Registration(email=" ADA@example.com", name=" Ada ", password=PASSWORD)
        signed_in = await world.use_cases.register(command)
        stored = world.store.users[signed_in.user.id]
        assert signed_in.user == UserView.of(stored)
        assert (stored.email, stored.name, stored.role, stored.active) == (
            "ada@example.com",
            "Ada",
            Role.USER,
            True,
        )
        claims = world.tokens.check(signed_in.access_token.value, NOW)
        assert claims == TokenClaims(stored.id, Role.USER)

    async def test_who_registered_can_sign_in(self, world: World) -> None:
        # With an email that folding changes more than once.
        email = "ß\u0301\u1fb3@example.com"
        registered = await world.use_cases.register(Registration(email=email, name="A", password=PASSWORD))
        signed_in = await world.use_cases.log_in(LogInAttempt(email, PASSWORD))
        assert signed_in.user == registered.user

    async def test_all_faults_are_told_at_once(self, world: World) -> None:
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.register(Registration(email="", name="", password=""))
        assert [fault.path for fault in caught.value.faults] == [("email",), ("name",), ("password",)]
        assert world.store.users == {}

    async def test_an_email_that_is_taken_is_told(self, world: World) -> None:
        await account(world)
        with pytest.raises(EmailTaken):
            await world.use_cases.register(Registration(email="Ada@Example.com", name="A", password=PASSWORD))

    def test_a_password_is_not_shown(self) -> None:
        shown = repr(Registration(email="a@b", name="N", password=PASSWORD))
        assert PASSWORD not in shown
        assert "a@b" in shown


class TestLogIn:
    @pytest.mark.parametrize("role", Role)
    @pytest.mark.parametrize("email", ["ada@example.com", "  ADA@Example.COM "])
    async def test_email_and_password_open_an_account(self, world: World, role: Role, email: str) -> None:
        user = await account(world, role=role)
        signed_in = await world.use_cases.log_in(LogInAttempt(email, PASSWORD))
        assert signed_in.user == UserView.of(user)
        token = signed_in.access_token
        assert token.expires_in == 15 * 60
        assert world.tokens.check(token.value, world.clock.now) == TokenClaims(user.id, role)

    @pytest.mark.parametrize(
        ("email", "password"),
        [
            ("ada@example.com", "wrong password"),
            ("ada@example.com", PASSWORD + " "),
            ("ada@example.com", PASSWORD.upper()),
            ("ada@example.com", ""),
            ("ada@example.com", PASSWORD + "\0"),
            ("ada@example.com", "\ud800"),
            ("nobody@example.com", PASSWORD),
            ("inactive@example.com", PASSWORD),
            ("deleted@example.com", PASSWORD),
            ("no email", PASSWORD),
            ("\0@\ud800", PASSWORD),
            ("", ""),
        ],
    )
    async def test_what_is_wrong_shows_in_neither_answer_nor_work(
        self, world: World, monkeypatch: pytest.MonkeyPatch, email: str, password: str
    ) -> None:
        await account(world)
        await account(world, "inactive@example.com", active=False)
        await account(world, "deleted@example.com", active=False, deleted_at=NOW)
        hashed: list[str] = []
        real = world.passwords.verify

        async def watched(password: str, against: str | None) -> bool:
            hashed.append(password)
            return await real(password, against)

        monkeypatch.setattr(world.passwords, "verify", watched)
        with pytest.raises(InvalidCredentials) as caught:
            await world.use_cases.log_in(LogInAttempt(email, password))
        assert hashed == [password]
        assert str(caught.value) == InvalidCredentials.default_detail

    async def test_nobody_makes_us_hash_megabytes(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[int] = []

        async def watched(password: str, against: str | None) -> bool:
            given.append(len(password))
            return against is None

        monkeypatch.setattr(world.passwords, "verify", watched)
        with pytest.raises(InvalidCredentials):
            await world.use_cases.log_in(LogInAttempt("nobody@example.com", "x" * 1_000_000))
        assert given == [257]

    async def test_the_longest_password_opens_and_one_that_begins_with_it_does_not(
        self, world: World
    ) -> None:
        longest = "\U0001f511" * 256
        await world.use_cases.register(Registration(email="a@b", name="A", password=longest))
        await world.use_cases.log_in(LogInAttempt("a@b", longest))
        with pytest.raises(InvalidCredentials):
            await world.use_cases.log_in(LogInAttempt("a@b", longest + "x"))

    async def test_a_fault_of_the_store_is_no_wrong_password(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(email: str) -> None:
            raise ValueError(email)

        monkeypatch.setattr("taskflow_memory.MemoryReads.credentials", lambda _, email: broken(email))
        with pytest.raises(ValueError, match="a@b"):
            await world.use_cases.log_in(LogInAttempt("a@b", PASSWORD))

    def test_a_password_is_not_shown(self) -> None:
        shown = repr(LogInAttempt("a@b", PASSWORD))
        assert PASSWORD not in shown
        assert "a@b" in shown
