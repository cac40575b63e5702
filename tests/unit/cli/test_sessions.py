"""`taskflow sessions`, `auth events` and `users reset-password` over memory."""

import asyncio
from datetime import timedelta

import pytest

from support.cli import Cli
from support.samples import NOW, PASSWORD, World, new_event, new_id
from taskflow_core import EventType, LogInAttempt, Origin, Role, SignedIn, Unauthenticated


@pytest.fixture
def signed_in(world: World) -> SignedIn:
    """Ada, signed in on her phone."""
    asyncio.run(_register(world))
    attempt = LogInAttempt("ada@example.com", PASSWORD, Origin(user_agent="Phone/1"))
    return asyncio.run(world.use_cases.log_in(attempt))


async def _register(world: World) -> None:
    password_hash = await world.passwords.hash(PASSWORD)
    world.add_user(email="ada@example.com", password_hash=password_hash)


def is_signed_in(world: World, signed_in: SignedIn) -> bool:
    try:
        asyncio.run(world.use_cases.authenticate(signed_in.access_token.value, None))
    except Unauthenticated:
        return False
    return True


def test_sessions_are_listed_with_what_they_came_by(taskflow: Cli, world: World, signed_in: SignedIn) -> None:
    (session,) = taskflow.json("sessions", "list", "ada@example.com")["data"]
    assert session["userAgent"] == "Phone/1"
    assert session["id"] == str(next(iter(world.store.sessions)))
    assert taskflow.json("sessions", "list", "--as", "ada@example.com")["data"] == [session]
    assert taskflow.json("sessions", "list", signed_in.user.id)["data"] == [session]
    shown = taskflow("sessions", "list", "ada@example.com").stdout
    assert session["id"] in shown
    assert "Phone/1" in shown


def test_the_operator_has_no_sessions_of_its_own(taskflow: Cli) -> None:
    told = taskflow("sessions", "list")
    assert told.exit_code == 6
    assert "--as EMAIL" in told.stderr


def test_one_session_is_ended_by_its_id(taskflow: Cli, world: World, signed_in: SignedIn) -> None:
    (id,) = world.store.sessions
    assert is_signed_in(world, signed_in)
    assert taskflow("sessions", "end", id).exit_code == 0
    assert not is_signed_in(world, signed_in)
    assert taskflow("sessions", "end", id).exit_code == 4
    assert "No sessions." in taskflow("sessions", "list", "ada@example.com").stdout


def test_all_sessions_of_an_account_are_ended_after_a_question(
    taskflow: Cli, world: World, signed_in: SignedIn
) -> None:
    assert taskflow("sessions", "end", "--user", "ada@example.com", stdin="n\n").exit_code == 1
    assert is_signed_in(world, signed_in)
    assert taskflow("sessions", "end", "--user", "ada@example.com", "--yes").exit_code == 0
    assert not is_signed_in(world, signed_in)


def test_a_session_or_an_account_must_be_named_not_both(taskflow: Cli) -> None:
    assert taskflow("sessions", "end").exit_code == 2
    assert taskflow("sessions", "end", new_id(), "--user", "ada@example.com").exit_code == 2


def test_sessions_of_others_take_the_permission(taskflow: Cli, world: World, signed_in: SignedIn) -> None:
    world.add_user(Role.MANAGER, email="max@example.com")
    world.add_user(email="uma@example.com")
    (id,) = world.store.sessions
    for email, code in (("max@example.com", 5), ("uma@example.com", 4)):
        assert taskflow("sessions", "list", "ada@example.com", "--as", email).exit_code == code
        assert taskflow("sessions", "end", id, "--as", email).exit_code == 4
        ended = taskflow("sessions", "end", "--user", "ada@example.com", "--yes", "--as", email)
        assert ended.exit_code == code
    assert is_signed_in(world, signed_in)


def test_a_password_that_is_reset_ends_all_sessions(taskflow: Cli, world: World, signed_in: SignedIn) -> None:
    new = "another long password"
    done = taskflow("users", "reset-password", "ada@example.com", "--password-stdin", stdin=f"{new}\n")
    assert done.exit_code == 0
    assert new not in done.output
    assert not is_signed_in(world, signed_in)
    asyncio.run(world.use_cases.log_in(LogInAttempt("ada@example.com", new)))
    (event,) = taskflow.json("auth", "events", "--type", "password.changed")["data"]
    assert (event["userId"], event["detail"]) == (str(signed_in.user.id), {"by": "operator"})


def test_a_password_that_may_not_be_set_is_refused(taskflow: Cli, world: World) -> None:
    world.add_user(email="ada@example.com")
    world.add_user(Role.MANAGER, email="max@example.com")
    reset = ("users", "reset-password", "ada@example.com", "--password-stdin")
    assert taskflow(*reset, stdin="password123\n").exit_code == 3
    assert taskflow(*reset, "--as", "max@example.com", stdin="another long one\n").exit_code == 5
    assert taskflow("users", "reset-password", "nobody@example.com", stdin="x\nx\n").exit_code == 4


def test_events_are_listed_newest_first(taskflow: Cli, world: World) -> None:
    ada, max_ = world.add_user(email="ada@example.com"), world.add_user(Role.MANAGER, email="max@example.com")
    for number in range(3):
        at = NOW + timedelta(minutes=number)
        detail = {"failures": str(number)}
        world.store.put_event(new_event(ada.id, at=at, type=EventType.LOGIN_FAILURES, detail=detail))
    world.store.put_event(new_event(max_.id, at=NOW - timedelta(minutes=1)))
    told = taskflow.json("auth", "events")
    assert [event["detail"].get("failures") for event in told["data"]] == ["2", "1", "0", None]
    assert told["more"] is False
    assert [e["type"] for e in taskflow.json("auth", "events", "--owner", max_.id)["data"]] == [
        "login.new_device"
    ]
    assert len(taskflow.json("auth", "events", "--as", "ada@example.com")["data"]) == 3
    assert taskflow.json("auth", "events", "--limit", "2")["more"] is True
    assert "failures: 2" in taskflow("auth", "events", "--owner", "ada@example.com").stdout
    assert taskflow("auth", "events", "--owner", "any", "--as", "max@example.com").exit_code == 5
