"""Registering and signing in."""

import unicodedata
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import pytest

from support.samples import NOW, PASSWORD, World
from taskflow_core import (
    EmailTaken,
    EventType,
    InvalidCredentials,
    InvalidInput,
    LogInAttempt,
    Origin,
    Overloaded,
    Registration,
    Role,
    Session,
    TooManyAttempts,
    User,
    UserView,
)
from taskflow_core.ports.security import TokenClaims
from taskflow_core.security_events import FAILURES_TOLD

EMAIL = "ada@example.com"
HERE = Origin("address", "network", "agent")
GOOD, BAD = LogInAttempt(EMAIL, PASSWORD, HERE), LogInAttempt(EMAIL, "wrong password", HERE)


@pytest.fixture
def world() -> World:
    return World()


async def account(world: World, email: str = EMAIL, **given: Any) -> User:
    return world.add_user(email=email, password_hash=await world.passwords.hash(PASSWORD), **given)


async def failed(world: World, *attempts: LogInAttempt) -> None:
    for attempt in attempts:
        with pytest.raises(InvalidCredentials):
            await world.use_cases.log_in(attempt)


def only_session(world: World) -> Session:
    (session,) = world.store.sessions.values()
    return session


class TestRegister:
    async def test_the_account_is_a_users_and_signed_in(self, world: World) -> None:
        command = Registration(email=" ADA@example.com", name=" Ada ", password=PASSWORD, origin=HERE)
        signed_in = await world.use_cases.register(command)
        stored = world.store.users[signed_in.user.id]
        assert signed_in.user == UserView.of(stored)
        assert (stored.email, stored.name, stored.role, stored.active) == (EMAIL, "Ada", Role.USER, True)
        session = only_session(world)
        assert session == Session.open(
            id=session.id, user_id=stored.id, seed=session.seed, origin=HERE, now=NOW
        )
        assert len(session.seed) == 32
        claims = world.tokens.check(signed_in.access_token.value, NOW)
        assert claims == TokenClaims(stored.id, session.id)
        assert signed_in.refresh_token == world.refresh_tokens.of(session)
        assert world.events() == []

    async def test_who_registered_can_sign_in(self, world: World) -> None:
        # With an email that folding changes more than once.
        email = "\u03d3@example.com"
        registered = await world.use_cases.register(Registration(email=email, name="A", password=PASSWORD))
        signed_in = await world.use_cases.log_in(LogInAttempt(email, PASSWORD))
        assert signed_in.user == registered.user
        assert signed_in.refresh_token != registered.refresh_token

    async def test_a_domain_in_ascii_and_in_unicode_are_one_account(self, world: World) -> None:
        ascii_form, unicode_form = "ada@xn--bcher-kva.example", "Ada@bu\u0308cher\uff0eexample"
        registered = await world.use_cases.register(
            Registration(email=ascii_form, name="A", password=PASSWORD)
        )
        with pytest.raises(EmailTaken):
            await world.use_cases.register(Registration(email=unicode_form, name="A", password=PASSWORD))
        for email in (ascii_form, unicode_form):
            assert (await world.use_cases.log_in(LogInAttempt(email, PASSWORD))).user == registered.user

    async def test_all_faults_are_told_at_once(self, world: World) -> None:
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.register(Registration(email="", name="", password=""))
        assert [fault.path for fault in caught.value.faults] == [("email",), ("name",), ("password",)]
        assert world.store.users == {}

    @pytest.mark.parametrize("password", ["PassWord1", "Ada Lovelace", " ADA@example.com"])
    async def test_a_password_that_is_easily_guessed_is_refused(self, world: World, password: str) -> None:
        command = Registration(email=" Ada@example.com", name=" Ada Lovelace", password=password)
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.register(command)
        assert [fault.path for fault in caught.value.faults] == [("password",)]
        assert (world.store.users, world.store.sessions) == ({}, {})

    async def test_an_email_that_is_taken_is_told_and_opens_nothing(self, world: World) -> None:
        await account(world)
        with pytest.raises(EmailTaken):
            await world.use_cases.register(Registration(email="Ada@Example.com", name="A", password=PASSWORD))
        assert world.store.sessions == {}

    def test_a_password_is_not_shown(self) -> None:
        shown = repr(Registration(email="a@b", name="N", password=PASSWORD))
        assert PASSWORD not in shown
        assert "a@b" in shown


class TestLogIn:
    @pytest.mark.parametrize("role", Role)
    @pytest.mark.parametrize("email", [EMAIL, "  ADA@Example.COM "])
    async def test_email_and_password_open_a_session(self, world: World, role: Role, email: str) -> None:
        user = await account(world, role=role)
        signed_in = await world.use_cases.log_in(LogInAttempt(email, PASSWORD, HERE))
        assert signed_in.user == UserView.of(user)
        session = only_session(world)
        assert session == Session.open(
            id=session.id, user_id=user.id, seed=session.seed, origin=HERE, now=NOW
        )
        token = signed_in.access_token
        assert token.expires_in == 15 * 60
        assert world.tokens.check(token.value, world.clock.now) == TokenClaims(user.id, session.id)
        assert signed_in.refresh_token == world.refresh_tokens.of(session)

    async def test_each_opens_a_session_of_its_own(self, world: World) -> None:
        await account(world)
        tokens = {(await world.use_cases.log_in(GOOD)).refresh_token for _ in range(3)}
        assert len(tokens) == len(world.store.sessions) == 3
        assert len({session.seed for session in world.store.sessions.values()}) == 3

    @pytest.mark.parametrize(
        ("email", "password"),
        [
            (EMAIL, "wrong password"),
            (EMAIL, PASSWORD + " "),
            (EMAIL, PASSWORD.upper()),
            (EMAIL, ""),
            (EMAIL, PASSWORD + "\0"),
            (EMAIL, "\ud800"),
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
        # The waits are the same too.
        for _ in range(5):
            with pytest.raises(InvalidCredentials) as caught:
                await world.use_cases.log_in(LogInAttempt(email, password))
            assert str(caught.value) == InvalidCredentials.default_detail
        with pytest.raises(TooManyAttempts) as waiting:
            await world.use_cases.log_in(LogInAttempt(email, password))
        assert waiting.value.retry_after == 1
        assert hashed == [password] * 5
        assert world.store.sessions == {}

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
        longest = "\U0001f511" * 255 + "é"
        await world.use_cases.register(Registration(email="a@b", name="A", password=longest))
        await world.use_cases.log_in(LogInAttempt("a@b", longest))
        await failed(world, LogInAttempt("a@b", longest + "x"))

    @pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
    async def test_a_password_opens_in_every_normalization_form(
        self, world: World, form: Literal["NFC", "NFD", "NFKC", "NFKD"]
    ) -> None:
        password = "Été à la ﬁn, №\u00a01" * 10
        await world.use_cases.register(Registration(email="a@b", name="A", password=password))
        await world.use_cases.log_in(LogInAttempt("a@b", unicodedata.normalize(form, password)))
        await failed(world, LogInAttempt("a@b", unicodedata.normalize(form, password[:-1] + "2")))

    async def test_a_fault_of_the_store_is_no_wrong_password(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(email: str) -> None:
            raise ValueError(email)

        monkeypatch.setattr("taskflow_memory.MemoryReads.credentials", lambda _, email, __: broken(email))
        with pytest.raises(ValueError, match="a@b"):
            await world.use_cases.log_in(LogInAttempt("a@b", PASSWORD))

    @pytest.mark.parametrize("change", ["password", "active", "deleted"])
    async def test_what_changes_while_the_password_is_hashed_counts(
        self, world: World, monkeypatch: pytest.MonkeyPatch, change: str
    ) -> None:
        user = await account(world)

        async def slow(*_: object) -> bool:
            stored = world.store.users[user.id]
            match change:
                case "password":
                    stored.set_password("new", NOW)
                case "active":
                    stored.active = False
                case _:
                    stored.mark_deleted(NOW)
            return True

        monkeypatch.setattr(world.passwords, "verify", slow)
        await failed(world, GOOD)
        assert world.store.sessions == {}

    def test_a_password_is_not_shown(self) -> None:
        shown = repr(LogInAttempt("a@b", PASSWORD))
        assert PASSWORD not in shown
        assert "a@b" in shown


class TestWaiting:
    async def test_who_fails_waits_longer_each_time_even_with_the_right_password(self, world: World) -> None:
        await account(world)
        await failed(world, *[BAD] * 5)
        for seconds in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
            for attempt in (GOOD, BAD):
                with pytest.raises(TooManyAttempts) as caught:
                    await world.use_cases.log_in(attempt)
                assert caught.value.retry_after == seconds
            world.clock.forward(timedelta(seconds=seconds))
            await failed(world, BAD)

    async def test_a_password_is_not_looked_at_before_its_time(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await account(world)
        await failed(world, *[BAD] * 5)
        monkeypatch.setattr(world.passwords, "verify", None)
        with pytest.raises(TooManyAttempts):
            await world.use_cases.log_in(GOOD)

    async def test_a_try_is_counted_before_the_password_is_looked_at(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await account(world)

        async def counted(*_: object) -> bool:
            assert [number for number, _ in world.store.attempts.values()] == [1]
            return False

        monkeypatch.setattr(world.passwords, "verify", counted)
        await failed(world, BAD)

    async def test_who_succeeds_begins_anew(self, world: World) -> None:
        await account(world)
        await failed(world, *[BAD] * 4)
        await world.use_cases.log_in(GOOD)
        assert world.store.attempts == {}
        await failed(world, *[BAD] * 5)

    async def test_an_attacker_elsewhere_neither_lifts_the_delay_nor_keeps_the_owner_out(
        self, world: World
    ) -> None:
        await account(world)
        await world.use_cases.log_in(GOOD)
        elsewhere = replace(HERE, network="elsewhere")
        await failed(world, *[replace(BAD, origin=elsewhere)] * 5)
        with pytest.raises(TooManyAttempts):
            await world.use_cases.log_in(replace(GOOD, origin=elsewhere))
        # From where it came before the owner comes in, and that lifts nothing elsewhere.
        await world.use_cases.log_in(GOOD)
        with pytest.raises(TooManyAttempts):
            await world.use_cases.log_in(replace(GOOD, origin=replace(HERE, network="a third place")))

    async def test_who_stays_at_the_owners_waits_too(self, world: World) -> None:
        await account(world)
        await world.use_cases.log_in(GOOD)
        await failed(world, *[BAD] * 5)
        with pytest.raises(TooManyAttempts):
            await world.use_cases.log_in(GOOD)

    async def test_each_account_by_itself(self, world: World) -> None:
        await account(world)
        await account(world, "other@example.com")
        await failed(world, *[BAD] * 5)
        await world.use_cases.log_in(LogInAttempt("other@example.com", PASSWORD))


class TestEvents:
    async def test_a_run_of_failures_is_told_now_and_then(self, world: World) -> None:
        user = await account(world)
        for n in range(1, 23):
            await failed(world, BAD)
            assert len(world.events()) == (n >= 5) + (n >= 20)
            world.clock.forward(timedelta(minutes=5))
        assert [(e.type, e.user_id, e.detail) for e in world.events()] == [
            (EventType.LOGIN_FAILURES, user.id, {"failures": str(n)}) for n in (5, 20)
        ]
        assert sorted(FAILURES_TOLD)[:2] == [5, 20]

    async def test_of_an_inactive_account_too_and_of_nobody_none(self, world: World) -> None:
        user = await account(world, active=False)
        await failed(world, *[GOOD] * 5, *[replace(BAD, email="nobody@example.com")] * 5)
        assert [event.user_id for event in world.events()] == [user.id]

    @pytest.mark.parametrize(
        ("before", "told"),
        [
            ([], False),
            ([HERE], False),
            ([replace(HERE, address="another")], False),
            ([replace(HERE, user_agent="another")], True),
            ([replace(HERE, network="another")], True),
            ([Origin()], True),
            ([Origin(), HERE], False),
        ],
    )
    async def test_a_place_not_seen_before_is_told_but_the_first(
        self, world: World, before: list[Origin], *, told: bool
    ) -> None:
        user = await account(world)
        for origin in before:
            world.add_session(user.id, origin=origin)
        await world.use_cases.log_in(GOOD)
        expected = [(EventType.NEW_DEVICE, user.id, NOW, {"userAgent": "agent"})] if told else []
        assert [(e.type, e.user_id, e.at, e.detail) for e in world.events()] == expected
        await world.use_cases.log_in(GOOD)
        assert len(world.events()) == told

    async def test_a_client_without_a_name_is_told_too(self, world: World) -> None:
        user = await account(world)
        world.add_session(user.id, origin=HERE)
        await world.use_cases.log_in(LogInAttempt(EMAIL, PASSWORD))
        assert [event.detail for event in world.events()] == [{"userAgent": ""}]


class TestRehashing:
    @pytest.fixture(autouse=True)
    def outdated(self, world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        old: list[str] = []
        monkeypatch.setattr(world.passwords, "is_outdated", old.__contains__)
        return old

    async def test_a_hash_by_old_settings_is_made_anew(self, world: World, outdated: list[str]) -> None:
        user = await account(world)
        outdated.append(user.password_hash)
        await world.use_cases.log_in(GOOD)
        stored = world.store.users[user.id]
        assert stored.password_hash != user.password_hash
        # It is the same password: sessions hold, and nobody's view of the account has changed.
        assert replace(stored, password_hash=user.password_hash) == user
        await world.use_cases.log_in(GOOD)
        assert world.store.users[user.id] == stored

    async def test_one_that_is_good_is_left_alone(self, world: World) -> None:
        user = await account(world)
        await world.use_cases.log_in(GOOD)
        assert world.store.users[user.id] == user

    async def test_a_wrong_password_makes_none(self, world: World, outdated: list[str]) -> None:
        user = await account(world)
        outdated.append(user.password_hash)
        await failed(world, BAD)
        assert world.store.users[user.id] == user

    @pytest.mark.parametrize("gone", [False, True])
    async def test_a_new_password_meanwhile_is_not_overwritten(
        self, world: World, outdated: list[str], monkeypatch: pytest.MonkeyPatch, *, gone: bool
    ) -> None:
        user = await account(world)
        outdated.append(user.password_hash)

        async def slow(_: str) -> str:
            if gone:
                del world.store.users[user.id]
            else:
                world.store.users[user.id].set_password("the new one", NOW)
            return "a better hash of the old one"

        monkeypatch.setattr(world.passwords, "hash", slow)
        await failed(world, GOOD)
        assert [stored.password_hash for stored in world.store.users.values()] == ["the new one"] * (not gone)
        assert world.store.sessions == {}

    async def test_where_there_is_no_time_for_it_the_log_in_holds(
        self, world: World, outdated: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = await account(world)
        outdated.append(user.password_hash)

        async def busy(_: str) -> str:
            raise Overloaded

        monkeypatch.setattr(world.passwords, "hash", busy)
        await world.use_cases.log_in(GOOD)
        assert world.store.users[user.id] == user
        assert len(world.store.sessions) == 1

    async def test_where_nobody_has_time_to_look_it_was_no_try(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await account(world)

        async def busy(_: str, __: str | None) -> bool:
            raise Overloaded

        with monkeypatch.context() as patched:
            patched.setattr(world.passwords, "verify", busy)
            for _ in range(12):
                with pytest.raises(Overloaded):
                    await world.use_cases.log_in(GOOD)
        assert world.store.attempts == {}
        await world.use_cases.log_in(GOOD)
