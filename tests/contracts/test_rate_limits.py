"""Rates: never more than the burst and what the elapsed time gives back, whoever asks at once."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from support.redis import redis_rate_limits
from support.samples import new_id
from taskflow_core import Limit, Rate
from taskflow_core.ports.rate_limits import RateLimits
from taskflow_memory import MemoryRateLimits

HOURLY = Limit("hourly", Rate(5, 3600))
"""So slow that nothing comes back during a test."""
QUICK = Limit("quick", Rate(10, 2))
"""One every 0.2 s."""
SLACK = 30.0
"""Seconds that a test may take on a busy machine."""
PATIENCE = 60.0
"""Seconds, against hangs."""


@pytest.fixture(params=["memory", "process", "redis"])
async def limits(request: pytest.FixtureRequest) -> AsyncIterator[RateLimits]:
    if request.param == "memory":
        yield MemoryRateLimits()
    elif request.param == "process":
        from taskflow_resilience import ProcessRateLimits

        yield ProcessRateLimits()
    else:
        async with redis_rate_limits(request.getfixturevalue("redis_url")) as real:
            yield real


@pytest.fixture
def subject() -> str:
    return f"somebody {new_id()}"


async def test_a_burst_passes_and_then_nothing(limits: RateLimits, subject: str) -> None:
    for left in range(4, -1, -1):
        decision = await limits.take(HOURLY, subject)
        assert (decision.allowed, decision.limit, decision.remaining) == (True, HOURLY, left)
        assert decision.retry_after == 0
        assert decision.reset_after == pytest.approx(720 * (5 - left), abs=SLACK)
    for _ in range(10):
        decision = await limits.take(HOURLY, subject)
        assert (decision.allowed, decision.remaining) == (False, 0)
        # One that may not pass costs nothing: the wait does not grow.
        assert decision.retry_after == pytest.approx(720, abs=SLACK)
        assert decision.reset_after == pytest.approx(3600, abs=SLACK)


async def test_of_64_at_once_exactly_the_burst_passes(limits: RateLimits, subject: str) -> None:
    decisions = await asyncio.gather(*(limits.take(HOURLY, subject) for _ in range(64)))
    assert sum(decision.allowed for decision in decisions) == 5
    assert sorted(d.remaining for d in decisions if d.allowed) == [0, 1, 2, 3, 4]


async def test_everyone_and_every_limit_counts_apart(limits: RateLimits, subject: str) -> None:
    for _ in range(6):
        await limits.take(HOURLY, subject)
    other = Limit("another", HOURLY.rate)
    for free in ((HOURLY, subject + "x"), (HOURLY, "x" + subject), (other, subject), (HOURLY, subject + ":")):
        assert (await limits.take(*free)).remaining == 4
    for limit, who in ((Limit("a:b", Rate(1, 3600)), subject), (Limit("a", Rate(1, 3600)), f"b:{subject}")):
        assert (await limits.take(limit, who)).allowed


@pytest.mark.parametrize("who", ["", "\0", "é\U0001f680", " {braces} ", "x" * 100_000])
async def test_anybody_can_be_counted(limits: RateLimits, subject: str, who: str) -> None:
    assert (await limits.take(HOURLY, who + subject)).remaining == 4
    assert (await limits.take(HOURLY, who + subject)).remaining == 3


async def test_one_may_cost_more(limits: RateLimits, subject: str) -> None:
    assert (await limits.take(HOURLY, subject, 3)).remaining == 2
    refused = await limits.take(HOURLY, subject, 3)
    assert (refused.allowed, refused.remaining) == (False, 2)
    assert refused.retry_after == pytest.approx(720, abs=SLACK)
    assert (await limits.take(HOURLY, subject, 2)).allowed
    assert not (await limits.take(HOURLY, subject)).allowed


async def test_what_costs_more_than_the_burst_costs_the_burst(limits: RateLimits, subject: str) -> None:
    decision = await limits.take(HOURLY, subject, 1_000)
    assert (decision.allowed, decision.remaining) == (True, 0)
    assert decision.reset_after == pytest.approx(3600, abs=SLACK)
    refused = await limits.take(HOURLY, subject, 1)
    assert not refused.allowed
    assert refused.retry_after == pytest.approx(720, abs=SLACK)
    whole = await limits.take(HOURLY, subject, 1_000)
    assert whole.retry_after == pytest.approx(3600, abs=SLACK)


async def test_who_waits_as_long_as_told_may_pass(limits: RateLimits, subject: str) -> None:
    for _ in range(10):
        await limits.take(QUICK, subject)
    for _ in range(3):
        refused = await limits.take(QUICK, subject)
        if not refused.allowed:
            assert 0 < refused.retry_after <= 0.2
            # A scheduler may wake us a little early; a clock in whole microseconds rounds.
            await asyncio.sleep(refused.retry_after + 0.002)
            assert (await limits.take(QUICK, subject)).allowed


async def test_never_more_than_the_burst_and_what_time_gives_back(limits: RateLimits, subject: str) -> None:
    began, passed = time.monotonic(), 0

    async def hammer() -> None:
        nonlocal passed
        while passed < 16:
            decision = await limits.take(QUICK, subject)
            passed += decision.allowed
            if decision.allowed:
                assert passed <= 10 + (time.monotonic() - began) / 0.2
            await asyncio.sleep(0.001)

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(hammer() for _ in range(16)))


async def test_the_whole_burst_comes_back(limits: RateLimits, subject: str) -> None:
    fast = Limit("fast", Rate(20, 1))
    for _ in range(20):
        await limits.take(fast, subject)
    await asyncio.sleep(1.05)
    decision = await limits.take(fast, subject)
    assert (decision.allowed, decision.remaining) == (True, 19)


async def test_who_knocks_on_does_not_wait_longer(limits: RateLimits, subject: str) -> None:
    for _ in range(10):
        await limits.take(QUICK, subject)
    ends = time.monotonic() + PATIENCE
    while not (await limits.take(QUICK, subject)).allowed:
        assert time.monotonic() < ends
