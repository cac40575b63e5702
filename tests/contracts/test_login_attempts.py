"""Tries to log in are counted before they are made, whoever makes them and however many at once."""

import asyncio
from datetime import timedelta

import pytest

from contracts.persistence import Persistence
from taskflow_core import Attempt
from taskflow_core.throttle import FORGOTTEN_AFTER, delay_after

SUBJECT = "ada@example.com"
SECOND = timedelta(seconds=1)
NO_WAIT = timedelta()


async def try_times(persistence: Persistence, number: int) -> None:
    """Make the `number`th try in a row, having waited as long as each before it made one wait."""
    for n in range(1, number + 1):
        assert await persistence.attempts.begin(SUBJECT) == Attempt(n, NO_WAIT)
        await persistence.age(delay_after(n))


async def test_the_first_are_free_and_each_next_waits_longer(persistence: Persistence) -> None:
    for number in range(1, 18):
        assert await persistence.attempts.begin(SUBJECT) == Attempt(number, NO_WAIT)
        delay = delay_after(number)
        if delay:
            told = await persistence.attempts.begin(SUBJECT)
            assert told.number == number
            assert delay - SECOND < told.wait <= delay
        if delay > 2 * SECOND:
            # One that is refused neither counts nor prolongs the wait.
            await persistence.age(delay - 2 * SECOND)
            assert NO_WAIT < (await persistence.attempts.begin(SUBJECT)).wait <= 2 * SECOND
            delay = 2 * SECOND
        await persistence.age(delay)


async def test_of_64_at_once_five_pass(persistence: Persistence) -> None:
    begun = await asyncio.gather(*(persistence.attempts.begin(SUBJECT) for _ in range(64)))
    passed = [attempt.number for attempt in begun if not attempt.wait]
    assert sorted(passed) == [1, 2, 3, 4, 5]
    assert all(NO_WAIT < attempt.wait <= SECOND for attempt in begun if attempt.wait)


@pytest.mark.parametrize("before", [5, 8])
async def test_of_64_at_once_after_a_delay_one_passes(persistence: Persistence, before: int) -> None:
    await try_times(persistence, before)
    begun = await asyncio.gather(*(persistence.attempts.begin(SUBJECT) for _ in range(64)))
    assert [attempt.number for attempt in begun if not attempt.wait] == [before + 1]
    assert {attempt.number for attempt in begun} == {before + 1}


@pytest.mark.parametrize(
    ("pause", "number"), [(FORGOTTEN_AFTER - 60 * SECOND, 8), (FORGOTTEN_AFTER + SECOND, 1)]
)
async def test_they_are_forgotten_after_a_day(
    persistence: Persistence, pause: timedelta, number: int
) -> None:
    await try_times(persistence, 7)
    await persistence.age(pause - delay_after(7))
    assert await persistence.attempts.begin(SUBJECT) == Attempt(number, NO_WAIT)
    if number == 1:
        assert await persistence.attempts.begin(SUBJECT) == Attempt(2, NO_WAIT)


async def test_who_succeeds_begins_anew(persistence: Persistence) -> None:
    await try_times(persistence, 9)
    await persistence.attempts.succeeded(SUBJECT)
    for number in range(1, 6):
        assert await persistence.attempts.begin(SUBJECT) == Attempt(number, NO_WAIT)


async def test_who_never_tried_may_succeed(persistence: Persistence) -> None:
    await persistence.attempts.succeeded(SUBJECT)
    assert await persistence.attempts.begin(SUBJECT) == Attempt(1, NO_WAIT)


async def test_a_try_that_is_given_back_does_not_count(persistence: Persistence) -> None:
    await persistence.attempts.give_back(SUBJECT)
    for _ in range(12):
        assert (await persistence.attempts.begin(SUBJECT)).wait == NO_WAIT
        await persistence.attempts.give_back(SUBJECT)
    await try_times(persistence, 4)
    await persistence.attempts.give_back(SUBJECT)
    assert await persistence.attempts.begin(SUBJECT) == Attempt(4, NO_WAIT)


async def test_everyone_is_counted_apart(persistence: Persistence) -> None:
    await try_times(persistence, 6)
    others = ["", "ADA@example.com", f"{SUBJECT} network", "\ufffd", "\ud800", "a\0b", "x" * 100_000]
    for other in others:
        assert await persistence.attempts.begin(other) == Attempt(1, NO_WAIT)
        await persistence.attempts.succeeded(other)
    assert await persistence.attempts.begin(SUBJECT) == Attempt(7, NO_WAIT)


async def test_the_database_is_told_no_email(concurrent_persistence: Persistence, database_url: str) -> None:
    import psycopg

    await concurrent_persistence.attempts.begin(SUBJECT)
    with psycopg.connect(database_url) as database:
        ((kept,),) = database.execute("SELECT subject FROM login_attempts").fetchall()
    assert len(kept) == 64
    assert not set("@.") & set(kept)
