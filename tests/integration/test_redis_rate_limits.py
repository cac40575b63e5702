"""Rate limits in Redis: exact over all who share it, wiped or damaged, stopped and back."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.pauses import paused
from support.redis import PATIENCE, redis_batches, redis_rate_limits
from taskflow_core import Decision, Limit, Rate
from taskflow_core.ports.rate_limits import RateLimits
from taskflow_core.rate_limits import gcra
from taskflow_embedded import ValkeyServer, throwaway_valkey
from taskflow_redis import Batches, RedisRateLimits, rate_limits
from taskflow_resilience import CircuitBreaker, FallbackRateLimits, ProcessRateLimits, State

HOURLY = Limit("login", Rate(4, 3600))
"""So slow that nothing comes back during a test."""


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
) -> tuple[int, float]:
    """How many pass of all that so many clients can ask in so long, or a little more, and in how long.

    Only while they ask does the time go on: where nobody was answered for a tenth of a second, who asks or
    who answers was held up, and what came back meanwhile may have been more than there is room for.
    """
    asked, last = 0.0, time.monotonic()
    ends = last + 10 * seconds

    async def client(limits: RateLimits) -> int:
        nonlocal asked, last
        passed = 0
        while asked < seconds and last < ends:
            passed += (await limits.take(limit, "everyone", cost)).allowed
            since, last = last, time.monotonic()
            asked += last - since if last - since < 0.1 else 0
        return passed

    return sum(await asyncio.gather(*(client(limits[n % len(limits)]) for n in range(clients)))), asked


@pytest.mark.parametrize("rate", ["50/second", "7/second", "600/minute"])
@pytest.mark.parametrize("cost", [1, 3])
async def test_sixty_four_clients_of_two_instances_get_what_one_would(
    redis_url: str, redis: Redis, rate: str, cost: int
) -> None:
    limit = Limit("api", Rate.parse(rate))
    async with AsyncExitStack() as stack:
        instances = [await stack.enter_async_context(redis_rate_limits(redis_url)) for _ in range(2)]
        began = await redis.now()
        passes, asked = await hammered(instances, limit, clients=64, seconds=2.0, cost=cost)
        elapsed = await redis.now() - began
    passed = passes * cost
    assert passed <= limit.rate.count + elapsed / limit.rate.interval
    # All the time somebody asked, so nothing that could pass was left over but at the two ends.
    assert passed >= limit.rate.count + (asked - 0.5) / limit.rate.interval - cost


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
    assert b"192.0.2.7" not in await redis.client.get(key)
    assert 801 < await redis.client.ttl(key) <= 901


async def test_nothing_is_kept_for_who_is_refused(redis_url: str, redis: Redis) -> None:
    async with redis_rate_limits(redis_url) as limits:
        await limits.take(HOURLY, "me", 4)
        (key,) = await redis.client.keys("*")
        kept = await redis.client.get(key)
        assert not (await limits.take(HOURLY, "me")).allowed
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
        await limits.take(HOURLY, "me")
        (key,) = await redis.client.keys("*")
        at, ahead, count = map(int, (await redis.client.get(key)).split())
        await redis.client.set(key, f"{at + 10**12} {ahead} {count}")
        refused = await limits.take(HOURLY, "me")
        assert (refused.allowed, refused.retry_after, refused.reset_after) == (False, 900.0, 3600.0)


async def test_a_limit_that_was_changed_goes_on_from_where_it_was(redis_url: str) -> None:
    async with redis_rate_limits(redis_url) as limits:
        await limits.take(HOURLY, "me", 2)  # 1800 s ahead, of an hour
        wider = await limits.take(Limit("login", Rate(40, 3600)), "me")
        assert wider.remaining in {19, 20}
        assert wider.reset_after == pytest.approx(1890, abs=80)
        assert not (await limits.take(Limit("login", Rate(2, 3600)), "me", 2)).allowed
        assert not (await limits.take(Limit("login", Rate(1, 60)), "me")).allowed


async def test_the_script_decides_as_the_core_does(redis: Redis) -> None:
    """The same requests at the same times: by the script, with the time put in, and by `gcra`."""
    script = rate_limits._TAKE.text
    # Nor is anything forgotten by Redis's own clock, which is another here.
    for by, given in (
        ("redis.call('TIME')", "{ARGV[4], ARGV[5]}"),
        ("/ 1000) + 1000)", "/ 1000) + 1000000)"),
    ):
        assert by in script
        script = script.replace(by, given)
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


@dataclass
class Instance:
    """One of several: what it has Redis asked by, how often, and what it knows of Redis being away.

    Attributes:
        limits: What it has in use.
        now: By its breaker's clock, which stands still.
    """

    batches: Batches
    limits: RateLimits = field(init=False)
    asked: int = 0
    changes: list[State] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        breaker = CircuitBreaker(open_for=1.0, clock=lambda: self.now, on_change=self.changes.append)
        self.limits = FallbackRateLimits(self, ProcessRateLimits(), breaker)

    async def take(self, limit: Limit, subject: str, cost: int = 1) -> Decision:
        """Ask Redis."""
        self.asked += 1
        return await RedisRateLimits(self.batches).take(limit, subject, cost)


class TestFallback:
    """Two instances, each with its own limiter for when Redis is away, and a server that can be killed."""

    @pytest.fixture
    def server(self) -> Iterator[ValkeyServer]:
        with throwaway_valkey() as server:
            yield server

    @pytest.fixture
    async def instances(self, server: ValkeyServer) -> AsyncIterator[list[Instance]]:
        async with AsyncExitStack() as stack:
            batches = [await stack.enter_async_context(redis_batches(server.url)) for _ in range(2)]
            yield [Instance(each) for each in batches]

    async def test_stopped_each_limits_by_itself_and_back_they_share_again(
        self, server: ValkeyServer, instances: list[Instance]
    ) -> None:
        assert sum([await taken(each.limits, HOURLY, 20) for each in instances]) == 4
        server.kill()
        assert [await taken(each.limits, HOURLY, 20) for each in instances] == [4, 4]
        asked = [each.asked for each in instances]
        assert [await taken(each.limits, HOURLY, 1_000) for each in instances] == [0, 0]
        assert [each.asked for each in instances] == asked
        assert [each.changes for each in instances] == [[State.OPEN]] * 2
        await asyncio.to_thread(server.start)
        passed = await self.until_back(instances)
        # The new server is empty: one more burst, for both together.
        assert passed + sum([await taken(each.limits, HOURLY, 20) for each in instances]) == 4
        assert [each.changes for each in instances] == [[State.OPEN, State.CLOSED]] * 2

    async def test_hanging_it_costs_one_request_now_and_then_and_passes_no_more(
        self, server: ValkeyServer, instances: list[Instance]
    ) -> None:
        assert sum([await taken(each.limits, HOURLY, 20) for each in instances]) == 4
        with paused(server.pid):
            for each in instances:
                each.batches._deadline = 0.5
            began = time.monotonic()
            takes = [each.limits.take(HOURLY, "me") for each in instances for _ in range(100)]
            decisions = await asyncio.gather(*takes)
            assert sum(d.allowed for d in decisions) == 8
            asked = instances[0].asked
            for probes in range(3):
                assert await taken(instances[0].limits, HOURLY, 200) == 0
                assert instances[0].asked == asked + probes
                instances[0].now += 1.0
            assert time.monotonic() - began < PATIENCE / 2
        for each in instances:
            each.batches._deadline = PATIENCE
        assert await self.until_back(instances) == 0
        assert sum([await taken(each.limits, HOURLY, 20) for each in instances]) == 0

    async def until_back(self, instances: list[Instance]) -> int:
        passed, ends = 0, time.monotonic() + PATIENCE
        while any(each.changes[-1] is not State.CLOSED for each in instances):
            assert time.monotonic() < ends
            await asyncio.sleep(0.05)
            for each in instances:
                each.now += 1.0
            passed += sum([await taken(each.limits, HOURLY, 1) for each in instances])
        return passed
