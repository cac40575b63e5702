"""Rates: how they are written, and the algorithm that keeps them."""

import random
from math import floor

import pytest

from taskflow_core import Limit, Rate
from taskflow_core.rate_limits import gcra

FIVE = Limit("five", Rate(5, 60))
"""One every 12 s, five at once."""
START = 1_000.0


@pytest.mark.parametrize(
    ("text", "rate", "interval"),
    [
        ("5/minute", Rate(5, 60), 12),
        (" 10/hour ", Rate(10, 3600), 360),
        ("100/second", Rate(100, 1), 0.01),
        ("1/day", Rate(1, 86400), 86400),
        ("007/minute", Rate(7, 60), 60 / 7),
    ],
)
def test_a_rate_is_so_many_in_so_long(text: str, rate: Rate, interval: float) -> None:
    assert Rate.parse(text) == rate
    assert rate.interval == pytest.approx(interval)


NO_RATES = ["", "5", "5/", "/minute", "5/minutes", "5 / minute", "0/minute", "-1/hour", "1.5/hour", "5//day"]
NO_RATES += ["off", "5/Minute", "1e3/day", "\u0665/hour", "\u00b2/day"]


@pytest.mark.parametrize("text", NO_RATES)
def test_what_is_no_rate_is_told_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="such as 5/minute"):
        Rate.parse(text)


def taken(*requests: tuple[float, int]) -> list[tuple[bool, int, float, float]]:
    """What is decided of requests at these seconds and costs, one after the other."""
    arrival, decided = None, []
    for at, cost in requests:
        decision, arrival = gcra(FIVE, arrival, START + at, cost)
        assert decision.limit is FIVE
        decided.append(
            (
                decision.allowed,
                decision.remaining,
                round(decision.reset_after, 3),
                round(decision.retry_after, 3),
            )
        )
    return decided


BURST = [(0.0, 1)] * 5
YES, NO = True, False


@pytest.mark.parametrize(
    ("before", "request_", "expected"),
    [
        # allowed, remaining, reset after, retry after
        ([], (0, 1), (YES, 4, 12, 0)),
        ([(0, 1)], (0, 1), (YES, 3, 24, 0)),
        ([(0, 1)] * 4, (0, 1), (YES, 0, 60, 0)),
        (BURST, (0, 1), (NO, 0, 60, 12)),
        (BURST, (11.99, 1), (NO, 0, 48.01, 0.01)),
        (BURST, (12, 1), (YES, 0, 60, 0)),
        (BURST, (12, 2), (NO, 1, 48, 12)),
        (BURST, (24, 2), (YES, 0, 60, 0)),
        (BURST, (59, 1), (YES, 3, 13, 0)),
        (BURST, (60, 1), (YES, 4, 12, 0)),
        (BURST, (1_000_000, 1), (YES, 4, 12, 0)),
        # one that may not pass costs nothing
        ([*BURST, (1, 1), (2, 5), (3, 100)], (12, 1), (YES, 0, 60, 0)),
        # costs
        ([], (0, 0), (YES, 5, 0, 0)),
        ([], (0, 3), (YES, 2, 36, 0)),
        ([], (0, 5), (YES, 0, 60, 0)),
        ([(0, 3)], (0, 3), (NO, 2, 36, 12)),
        ([(0, 3)], (12, 3), (YES, 0, 60, 0)),
        # more than the burst counts for the burst
        ([], (0, 1_000), (YES, 0, 60, 0)),
        ([(0, 1)], (0, 1_000), (NO, 4, 12, 12)),
        ([(0, 1)], (12, 1_000), (YES, 0, 60, 0)),
        ([(0, 1_000)], (12, 1), (YES, 0, 60, 0)),
        ([(0, 1_000)], (59, 1_000), (NO, 4, 1, 1)),
        ([(0, 1_000)], (60, 1_000), (YES, 0, 60, 0)),
        # a clock that goes back never makes anybody wait longer than from an empty bucket
        ([(0, 1)], (-5, 1), (YES, 2, 29, 0)),
        (BURST, (-500, 1), (NO, 0, 60, 12)),
        ([(0, 1)], (-500, 1), (NO, 0, 60, 12)),
    ],
)
def test_what_passes(
    before: list[tuple[float, int]],
    request_: tuple[float, int],
    expected: tuple[bool, int, float, float],
) -> None:
    assert taken(*before, request_)[-1] == expected


@pytest.mark.parametrize("arrival", [START + 60.001, START + 3_600, 1e12, float("inf")])
def test_what_was_kept_from_another_clock_is_cut_to_a_burst(arrival: float) -> None:
    decision, after = gcra(FIVE, arrival, START, 1)
    assert (decision.allowed, decision.retry_after, decision.reset_after) == (False, 12, 60)
    assert after == START + 60


@pytest.mark.parametrize("arrival", [None, 0.0, START - 0.001, START, -1e12])
def test_what_lies_behind_counts_for_nothing(arrival: float | None) -> None:
    decision, after = gcra(FIVE, arrival, START, 1)
    assert (decision.allowed, decision.remaining, after) == (True, 4, START + 12)


def test_a_clock_may_begin_at_nothing() -> None:
    decision, after = gcra(FIVE, None, 0.0, 1)
    assert (decision.allowed, after) == (True, 12.0)


@pytest.mark.parametrize("started", [0.0, 1e3, 1e5, 1e6, 3e7])
@pytest.mark.parametrize("rate", ["100/minute", "7/minute", "1000/minute", "97/hour", "3/second"])
def test_a_burst_is_whole_however_long_the_machine_runs(started: float, rate: str) -> None:
    limit = Limit("any", Rate.parse(rate))
    chance = random.Random(7)
    for _ in range(20):
        now, arrival, passed = started + chance.random() * 1_000, None, 0
        for left in range(limit.rate.count - 1, -2, -1):
            decision, arrival = gcra(limit, arrival, now, 1)
            passed += decision.allowed
            assert decision.remaining == max(left, 0)
        assert passed == limit.rate.count


def test_never_more_than_the_burst_and_what_time_gives_back() -> None:
    chance = random.Random(11)
    for _ in range(50):
        now, arrival, passed = START, None, 0
        for _ in range(400):
            now += chance.choice([0, 0.001, 1, 3, 11.9, 12, 30])
            cost = chance.choice([1, 1, 1, 2, 5])
            decision, arrival = gcra(FIVE, arrival, now, cost)
            passed += cost * decision.allowed
            assert passed <= 5 + floor((now - START) / 12 + 1e-6)
            if not decision.allowed:
                # Who comes back when told passes, a moment before that does not.
                early, _ = gcra(FIVE, arrival, now + decision.retry_after - 0.001, cost)
                later, _ = gcra(FIVE, arrival, now + decision.retry_after, cost)
                assert (early.allowed, later.allowed) == (False, True)
