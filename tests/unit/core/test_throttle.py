"""The delay that failed log-ins put on an account."""

from datetime import timedelta

import pytest

from taskflow_core.throttle import LONGEST_DELAY, delay_after


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        (0, 0),
        (1, 0),
        (4, 0),
        (5, 1),
        (6, 2),
        (7, 4),
        (12, 128),
        (13, 256),
        (14, 300),
        (1_000, 300),
        (10**9, 300),
    ],
)
def test_it_doubles_from_the_fifth_to_five_minutes(failures: int, seconds: int) -> None:
    assert delay_after(failures) == timedelta(seconds=seconds)


def test_a_day_of_guessing_is_a_few_hundred_guesses() -> None:
    guesses, spent = 0, timedelta()
    while spent < timedelta(days=1):
        guesses += 1
        spent += delay_after(guesses)
    assert guesses < 320
    assert max(delay_after(n) for n in range(100)) == LONGEST_DELAY
