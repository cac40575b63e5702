"""Tries to log in are counted before they are made, whoever makes them and however many at once."""

import asyncio
import time
from datetime import timedelta

import pytest

from contracts.persistence import Persistence
from taskflow_core import Attempt
from taskflow_core.throttle import FORGOTTEN_AFTER, delay_after

SUBJECT = "ada@example.com"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
NO_WAIT = timedelta()


async def try_times(persistence: Persistence, number: int) -> None:
    """Make the `number`th try in a row, having waited as long as each before it made one wait."""
    for n in range(1, number + 1):
        assert await persistence.attempts.begin(SUBJECT) == Attempt(n, NO_WAIT)
        await persistence.age(delay_after(n))


async def test_the_first_are_free_and_each_next_waits_longer(persistence: Persistence) -> None:
    for number in range(1, 18):
        began = time.monotonic()
        assert await persistence.attempts.begin(SUBJECT) == Attempt(number, NO_WAIT)
        delay = delay_after(number)
        if not delay:
            continue
        # Back by an hour, so that none of the next passes, however long it takes to get there.
        await persistence.age(-HOUR)
        await assert_refused(persistence, number, HOUR + delay, began)
        # One that is refused neither counts nor prolongs the wait.
        await persistence.age(delay)
        await assert_refused(persistence, number, HOUR, began)
        await persistence.age(HOUR)


async def assert_refused(persistence: Persistence, number: int, wait: timedelta, began: float) -> None:
    """The next has to wait so long, less what went by since `began`."""
    told = await persistence.attempts.begin(SUBJECT)
    took = timedelta(seconds=time.monotonic() - began)
    assert told.number == number
    assert wait - took - timedelta(milliseconds=10) <= told.wait <= wait


async def storm(persistence: Persistence, first: int) -> int:
    """Begin 64 at once, where the `first` in a row may pass; return how many in a row there are then.

    Another passes only where all of it took as long as that one had to wait.
    """
    began = time.monotonic()
    begun = await asyncio.gather(*(persistence.attempts.begin(SUBJECT) for _ in range(64)))
    took = timedelta(seconds=time.monotonic() - began)
    passed = sorted(attempt.number for attempt in begun if not attempt.wait)
    refused = [attempt for attempt in begun if attempt.wait]
    last = passed[-1]
    assert passed == list(range(first, last + 1))
    assert sum((delay_after(number) for number in range(first, last)), NO_WAIT) <= took
    assert {attempt.number for attempt in refused} <= set(passed)
    assert all(NO_WAIT < attempt.wait <= delay_after(attempt.number) for attempt in refused)
    return last


async def test_of_64_at_once_five_pass(persistence: Persistence) -> None:
    assert await storm(persistence, 1) >= 5


@pytest.mark.parametrize("before", [5, 8, 13])
async def test_of_64_at_once_after_a_delay_one_passes(persistence: Persistence, before: int) -> None:
    await try_times(persistence, before)
    await storm(persistence, before + 1)


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
