"""Rate limits in Redis: exact over all who share it, wiped or damaged, stopped and back."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from support.redis import redis_rate_limits
from taskflow_core import Limit, Rate
from taskflow_core.ports.rate_limits import RateLimits
from taskflow_core.rate_limits import gcra
from taskflow_embedded import ValkeyServer, throwaway_valkey
from taskflow_redis import rate_limits
from taskflow_resilience import CircuitBreaker, FallbackRateLimits, ProcessRateLimits, State

HOURLY = Limit("login", Rate(4, 3600))
QUICK = Limit("api", Rate(4, 2))


async def taken(limits: RateLimits, limit: Limit, tries: int, subject: str = "me", cost: int = 1) -> int:
    return sum([(await limits.take(limit, subject, cost)).allowed for _ in range(tries)])


class Redis:
    """What the tests do to the server itself, by a client of their own."""

    def __init__(self, url: str) -> None:
        from redis.asyncio import Redis as Client

        self.client: Any = Client.from_url(url)

    async def now(self) -> float:
        seconds, microseconds = await self.client.time()
        return float(seconds) + float(microseconds) / 1e6


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    made = Redis(redis_url)
    yield made
    await made.client.aclose()


async def hammered(
    limits: Sequence[RateLimits], limit: Limit, *, clients: int, seconds: float, cost: int = 1
) -> int:
    """How many pass of all that so many clients can ask in so long."""
    ends = time.monotonic() + seconds

    async def client(limits: RateLimits) -> int:
        passed = 0
        while time.monotonic() < ends:
            passed += (await limits.take(limit, "everyone", cost)).allowed
        return passed

    return sum(await asyncio.gather(*(client(limits[n % len(limits)]) for n in range(clients))))


@pytest.mark.parametrize("rate", ["50/second", "7/second", "600/minute"])
@pytest.mark.parametrize("cost", [1, 3])
async def test_sixty_four_clients_of_two_instances_get_what_one_would(
    redis_url: str, redis: Redis, rate: str, cost: int
) -> None:
    limit = Limit("api", Rate.parse(rate))
    async with AsyncExitStack() as stack:
        instances = [await stack.enter_async_context(redis_rate_limits(redis_url)) for _ in range(2)]
        began = await redis.now()
        passed = await hammered(instances, limit, clients=64, seconds=2.0, cost=cost) * cost
        elapsed = await redis.now() - began
    most = limit.rate.count + elapsed / limit.rate.interval
    assert passed <= most
    # All the time somebody asked, so nothing that could pass was left over but at the two ends.
    assert passed >= limit.rate.count + 1.5 / limit.rate.interval - cost


async def test_a_burst_of_a_tick_is_shared_exactly(redis_url: str) -> None:
    async with redis_rate_limits(redis_url) as one, redis_rate_limits(redis_url) as other:
        for subject in range(20):
            takes = [each.take(HOURLY, str(subject)) for each in (one, other) for _ in range(32)]
            decisions = await asyncio.gather(*takes)
            passed = [d.remaining for d in decisions if d.allowed]
            assert sorted(passed) == [0, 1, 2, 3]


async def test_a_wiped_redis_refills_and_no_more(redis_url: str, redis: Redis) -> None:
    async with redis_rate_limits(redis_url) as limits:
        for _ in range(3):
            assert await taken(limits, HOURLY, 20) == 4
            await redis.client.flushall()
        await redis.client.script_flush()
        assert await taken(limits, HOURLY, 20) == 4


async def test_it_keeps_a_hash_for_as_long_as_it_matters(redis_url: str, redis: Redis) -> None:
    async with redis_rate_limits(redis_url) as limits:
        await limits.take(HOURLY, "192.0.2.7")
    (key,) = await redis.client.keys("*")
    assert key.startswith(b"taskflow:rate:login:")
    assert len(key.rpartition(b":")[2]) == 32
    assert b"192" not in await redis.client.get(key)
    assert 895 < await redis.client.ttl(key) <= 901


async def test_nothing_is_kept_for_who_is_refused(redis_url: str, redis: Redis) -> None:
    async with redis_rate_limits(redis_url) as limits:
        await limits.take(QUICK, "me", 4)
        (key,) = await redis.client.keys("*")
        kept = await redis.client.get(key)
        assert not (await limits.take(QUICK, "me")).allowed
        assert await redis.client.get(key) == kept


@pytest.mark.parametrize("value", ["", "garbage", "1 2", "1 2 3 4", "-1 2 3", "nan nan nan"])
async def test_a_damaged_value_counts_from_a_whole_burst(redis_url: str, redis: Redis, value: str) -> None:
    async with redis_rate_limits(redis_url) as limits:
        await limits.take(HOURLY, "me")
        (key,) = await redis.client.keys("*")
        await redis.client.set(key, value)
        assert await taken(limits, HOURLY, 20) == 4


async def test_a_clock_that_was_ahead_locks_nobody_out(redis_url: str, redis: Redis) -> None:
    """A replica that took over may be behind: whoever wrote, nobody waits for more than the burst."""
    async with redis_rate_limits(redis_url) as limits:
        await limits.take(QUICK, "me")
        (key,) = await redis.client.keys("*")
        at, ahead, count = map(int, (await redis.client.get(key)).split())
        await redis.client.set(key, f"{at + 10**12} {ahead} {count}")
        refused = await limits.take(QUICK, "me")
        assert (refused.allowed, refused.retry_after, refused.reset_after) == (False, 0.5, 2.0)


async def test_a_limit_that_was_changed_goes_on_from_where_it_was(redis_url: str) -> None:
    async with redis_rate_limits(redis_url) as limits:
        await limits.take(HOURLY, "me", 2)  # 1800 s ahead, of an hour
        wider = await limits.take(Limit("login", Rate(40, 3600)), "me")
        assert wider.remaining in {19, 20}
        assert wider.reset_after == pytest.approx(1890, abs=10)
        assert not (await limits.take(Limit("login", Rate(2, 3600)), "me", 2)).allowed
        assert not (await limits.take(Limit("login", Rate(1, 60)), "me")).allowed


async def test_the_script_decides_as_the_core_does(redis: Redis) -> None:
    """The same requests at the same times: by the script, with the time put in, and by `gcra`."""
    told = "{ARGV[4], ARGV[5]}"
    script = rate_limits._TAKE.text.replace("redis.call('TIME')", told)
    assert told in script
    chance = random.Random(7)
    for _ in range(60):
        rate = Rate(chance.choice([1, 2, 3, 5, 7, 10, 100]), chance.choice([1, 60, 3600]))
        limit, key, arrival, micros = Limit("x", rate), f"key {chance.random()}", None, 0
        for _ in range(40):
            micros += chance.choice([0, 1, int(rate.interval * 1e6), chance.randrange(rate.seconds * 10**6)])
            cost = chance.choice([1, 1, 1, 2, 3, rate.count, 1_000])
            expected, arrival_after = gcra(limit, arrival, micros / 1e6, cost)
            arguments = (rate.count, rate.seconds, cost, micros // 10**6, micros % 10**6)
            answer = await redis.client.eval(script, 1, key, *map(str, arguments))
            found = rate_limits._decision(limit, answer)
            if abs(expected.retry_after - found.retry_after) < 1e-6 and expected.allowed != found.allowed:
                break  # at the very boundary a float may err
            assert found.allowed == expected.allowed
            assert found.reset_after == pytest.approx(expected.reset_after, abs=1e-5)
            assert found.retry_after == pytest.approx(expected.retry_after, abs=1e-5)
            # The floor of a float that should be whole may be one off.
            assert abs(found.remaining - expected.remaining) <= 1
            arrival = arrival_after


class TestFallback:
    """Two instances, each with its own limiter for when Redis is away, and a server that can be killed."""

    @pytest.fixture
    def server(self) -> Iterator[ValkeyServer]:
        with throwaway_valkey() as server:
            yield server

    @pytest.fixture
    def changes(self) -> list[tuple[int, State]]:
        return []

    @pytest.fixture
    async def instances(
        self, server: ValkeyServer, changes: list[tuple[int, State]]
    ) -> AsyncIterator[list[RateLimits]]:
        async with AsyncExitStack() as stack:
            made: list[RateLimits] = []
            for number in range(2):
                shared = await stack.enter_async_context(redis_rate_limits(server.url, deadline=0.5))

                def told(state: State, number: int = number) -> None:
                    changes.append((number, state))

                breaker = CircuitBreaker(open_for=0.2, on_change=told)
                made.append(FallbackRateLimits(shared, ProcessRateLimits(), breaker))
            yield made

    async def test_stopped_each_limits_by_itself_and_back_they_share_again(
        self, server: ValkeyServer, instances: list[RateLimits], changes: list[tuple[int, State]]
    ) -> None:
        assert sum([await taken(each, HOURLY, 20) for each in instances]) == 4
        server.kill()
        assert [await taken(each, HOURLY, 20) for each in instances] == [4, 4]
        began = time.monotonic()
        assert [await taken(each, HOURLY, 1_000) for each in instances] == [0, 0]
        assert time.monotonic() - began < 5
        assert sorted(changes) == [(0, State.OPEN), (1, State.OPEN)]
        await asyncio.to_thread(server.start)
        passed = await self.until_back(instances, changes)
        # The new server is empty: one more burst, for both together.
        assert passed + sum([await taken(each, HOURLY, 20) for each in instances]) == 4
        assert sorted(changes) == [(n, state) for n in (0, 1) for state in (State.CLOSED, State.OPEN)]

    async def test_hanging_it_costs_one_request_now_and_then_and_passes_no_more(
        self, server: ValkeyServer, instances: list[RateLimits], changes: list[tuple[int, State]]
    ) -> None:
        assert sum([await taken(each, HOURLY, 20) for each in instances]) == 4
        os.kill(server.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            takes = [each.take(HOURLY, "me") for each in instances for _ in range(100)]
            decisions = await asyncio.gather(*takes)
            assert sum(d.allowed for d in decisions) == 8
            assert time.monotonic() - began < 5
            slow = 0
            for _ in range(200):
                at = time.monotonic()
                assert not (await instances[0].take(HOURLY, "me")).allowed
                slow += time.monotonic() - at > 0.4
            assert slow <= 3
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert await self.until_back(instances, changes) == 0
        assert sum([await taken(each, HOURLY, 20) for each in instances]) == 0

    async def until_back(self, instances: list[RateLimits], changes: list[tuple[int, State]]) -> int:
        passed, ends = 0, time.monotonic() + 20
        while {number for number, state in changes if state is State.CLOSED} != {0, 1}:
            assert time.monotonic() < ends
            await asyncio.sleep(0.05)
            passed += sum([await taken(each, HOURLY, 1) for each in instances])
        return passed
