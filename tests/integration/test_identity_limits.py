"""Rate limits over two instances: with Redis, without, wiped, cut off; and whose requests are whose."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from support.processes import Background, free_port
from support.real_api import Instance, Person, open_instance, settings_of
from support.wires import open_wire
from taskflow_core import Rate
from taskflow_embedded import throwaway_valkey
from taskflow_redis import Batches, client

CLIENTS = 64
SECONDS = [4.0, pytest.param(30.0, marks=pytest.mark.slow)]
RATE = Rate(40, 4)
"""A burst of 40, then one every 0.1 s."""
INTERVAL = RATE.interval

Beside = Callable[[], Awaitable[None]]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a Redis that a busy machine is slow to run not count as away."""
    for limit in ("CONNECT_SECONDS", "ANSWER_SECONDS", "POOL_WAIT_SECONDS"):
        monkeypatch.setattr(client, limit, 10.0)
    monkeypatch.setattr(Batches.__init__, "__kwdefaults__", {"deadline": 10.0})


@asynccontextmanager
async def two(database_url: str, *urls: str, **given: Any) -> AsyncIterator[list[Instance]]:
    async with AsyncExitStack() as stack:
        settings = [settings_of(database_url, url, **given) for url in urls]
        yield [await stack.enter_async_context(open_instance(each)) for each in settings]


class Flood:
    """Many clients of one person, as fast as they can; counts what passes where."""

    def __init__(self, apis: list[Instance], person: Person) -> None:
        self.apis, self.person = apis, person
        self.passed = [0] * len(apis)
        self.codes: Counter[int] = Counter()
        self.elapsed = self.seconds = 0.0

    async def run(self, seconds: float) -> None:
        began = time.monotonic()
        await asyncio.gather(*(self._client(number, began + seconds) for number in range(CLIENTS)))
        self.elapsed, self.seconds = time.monotonic() - began, seconds

    async def _client(self, number: int, until: float) -> None:
        index = number % len(self.apis)
        while time.monotonic() < until:
            answer = await self.apis[index].call(self.person, "GET", "/users/me")
            self.codes[answer.status_code] += 1
            self.passed[index] += answer.status_code == 200
            if answer.status_code == 429:
                assert int(answer.headers["Retry-After"]) >= 1
                assert answer.json()["code"] == "rate_limited"
                # Greedier than it is told to be, and not so that this one process does nothing else.
                await asyncio.sleep(0.05)

    @property
    def allowed(self) -> int:
        """The most that may have passed one limit."""
        return RATE.count + int(self.elapsed / INTERVAL)

    @property
    def taken(self) -> int:
        """The least that so many clients get of it, whose last answers may come late."""
        return RATE.count + int((self.seconds - 0.5) / INTERVAL)


async def counted_in_redis(
    apis: list[Instance], seconds: float, caplog: pytest.LogCaptureFixture, beside: Beside | None = None
) -> Flood:
    """Return a flood in which Redis answered in time.

    On a machine that is too busy it may not, and each process counts by itself: another test's matter.
    """
    for _ in range(5):
        caplog.clear()
        flood = Flood(apis, await apis[0].person())
        await asyncio.gather(flood.run(seconds), *([beside()] if beside else []))
        # Nor "is back": until then it was away since the flood before.
        if "Redis is" not in caplog.text:
            return flood
        await asyncio.sleep(1.5)
    raise AssertionError("This machine is too busy: Redis never answered in time.")


@pytest.mark.usefixtures("patient")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seconds", SECONDS)
async def test_both_instances_together_keep_one_limit(
    database_url: str, redis_url: str, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    async with two(database_url, redis_url, redis_url, rate_limit_api=RATE) as apis:
        flood = await counted_in_redis(apis, seconds, caplog)
        assert set(flood.codes) == {200, 429}
        # Never more, and so many clients leave nothing of it.
        assert flood.taken <= sum(flood.passed) <= flood.allowed
        assert min(flood.passed) > 0


async def test_without_redis_each_instance_keeps_it_by_itself(database_url: str) -> None:
    with throwaway_valkey() as valkey:
        async with two(database_url, valkey.url, valkey.url, rate_limit_api=RATE) as apis:
            flood = Flood(apis, await apis[0].person())
            await asyncio.to_thread(valkey.stop)
            await flood.run(3)
            assert set(flood.codes) == {200, 429}
            for passed in flood.passed:
                assert flood.taken <= passed <= flood.allowed


@pytest.mark.usefixtures("patient")
@pytest.mark.timeout(300)
async def test_a_redis_that_is_wiped_refills_and_no_more(
    database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    wipes = 3
    async with (
        Redis.from_url(redis_url) as redis,
        two(database_url, redis_url, redis_url, rate_limit_api=RATE) as apis,
    ):

        async def wipe() -> None:
            for _ in range(wipes):
                await asyncio.sleep(1)
                await redis.flushall()

        flood = await counted_in_redis(apis, wipes + 1, caplog, wipe)
        assert set(flood.codes) == {200, 429}
        assert sum(flood.passed) <= flood.allowed + wipes * RATE.count
        assert sum(flood.passed) > flood.allowed


@pytest.mark.timeout(300)
async def test_an_instance_that_is_cut_off_limits_by_itself_and_counts_with_the_others_when_it_is_back(
    database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        open_wire(redis_url) as wire,
        two(database_url, redis_url, wire.url, rate_limit_api=RATE) as apis,
    ):
        person = await apis[0].person()
        assert (await apis[1].call(person, "GET", "/users/me")).status_code == 200
        wire.cut()
        apart = Flood(apis, person)
        await apart.run(3)
        assert set(apart.codes) == {200, 429}
        # One is away; on a busy machine the other may seem so too for a while, and limits by itself then.
        again = RATE.count * (caplog.text.count("Redis is") - 1)
        assert all(passed <= apart.allowed + again for passed in apart.passed)
        wire.mend()
        await asyncio.sleep(1.6)
        assert (await apis[1].call(person, "GET", "/users/me")).status_code in {200, 429}
        together = await counted_in_redis(apis, 3, caplog)
        assert sum(together.passed) <= together.allowed


@pytest.mark.usefixtures("patient")
async def test_a_batch_counts_for_its_items(database_url: str, redis_url: str) -> None:
    async with two(database_url, redis_url, redis_url, rate_limit_api=Rate(20, 3600)) as apis:
        person = await apis[0].person()
        ids = [(await apis[n % 2].task(person))["id"] for n in range(8)]
        answer = await apis[1].call(person, "POST", "/tasks/batch", json={"action": "complete", "tasks": ids})
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"api";q=20;w=3600'
        assert answer.headers["RateLimit"].startswith('"api";r=4;t=')
        answer = await apis[0].call(person, "POST", "/tasks/batch", json={"action": "delete", "tasks": ids})
        assert answer.status_code == 429
        assert (await apis[0].call(person, "GET", f"/tasks/{ids[0]}")).json()["status"] == "COMPLETED"


@pytest.mark.usefixtures("patient")
async def test_log_ins_are_counted_by_address_over_both(database_url: str, redis_url: str) -> None:
    given = {"rate_limit_login": Rate(5, 60), "rate_limit_register": Rate(2, 3600)}
    async with two(database_url, redis_url, redis_url, **given) as apis:
        emails = [(await apis[0].person()).email for _ in range(7)]

        async def log_in(number: int) -> int:
            body = {"email": emails[number], "password": "a wrong password"}
            return (await apis[number % 2].client.post("/auth/login", json=body)).status_code

        codes = Counter([await log_in(number) for number in range(7)])
        assert codes == {401: 5, 429: 2}
        body = {"name": "Ada", "password": "a long password"}
        registered = [
            (
                await apis[n % 2].client.post("/auth/register", json=body | {"email": f"{n}@example.com"})
            ).status_code
            for n in range(3)
        ]
        assert registered == [201, 201, 429]


@pytest.mark.usefixtures("patient")
async def test_an_attacker_elsewhere_neither_lifts_the_delay_nor_keeps_the_owner_out(
    database_url: str, redis_url: str
) -> None:
    trusted = {"trusted_proxies": ("127.0.0.1/32",)}
    home = {"X-Forwarded-For": "192.0.2.1", "User-Agent": "Home/1"}
    async with two(database_url, redis_url, redis_url, **trusted) as apis:
        person = await apis[0].person()

        async def log_in(number: int, password: str, headers: dict[str, str]) -> httpx.Response:
            body = {"email": person.email, "password": password}
            return await apis[number % 2].client.post("/auth/login", json=body, headers=headers)

        assert (await log_in(0, "a password of the tests", home)).status_code == 200
        # From as many networks as one likes, over both instances.
        codes = []
        for number in range(12):
            away = {"X-Forwarded-For": f"198.51.{number}.7"}
            codes.append((await log_in(number, "a wrong password", away)).status_code)
        assert codes[:5] == [401] * 5
        assert 429 in codes[5:]
        answer = await log_in(0, "a password of the tests", {"X-Forwarded-For": "203.0.113.9"})
        assert answer.json()["code"] == "too_many_attempts"
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await log_in(1, "a password of the tests", home)).status_code == 200
        # And that did not lift the others' delay.
        answer = await log_in(0, "a password of the tests", {"X-Forwarded-For": "203.0.113.9"})
        assert answer.json()["code"] == "too_many_attempts"


# --- whom to believe about addresses, with the real server -------------------------------------------


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "TASKFLOW_DATABASE_URL": database_url,
        "TASKFLOW_REDIS_URL": redis_url,
        "TASKFLOW_JWT_SECRET": "a-secret-of-the-tests-0123456789-abcdefgh",
        "TASKFLOW_PASSWORD_COST": "10",
    }


@pytest.fixture
def served(request: pytest.FixtureRequest, tmp_path: Path, env: dict[str, str]) -> Iterator[str]:
    port = free_port()
    background = Background.start("serve", "--port", port, cwd=tmp_path, env=env | request.param)
    background.wait_for("TaskFlow answers at")
    yield f"http://127.0.0.1:{port}"
    background.kill()


def log_ins_from_many_addresses(url: str) -> list[int]:
    body = {"email": "nobody@example.com", "password": "wrong"}
    return [
        httpx.post(f"{url}/auth/login", json=body | {"email": f"{n}@example.com"},
                   headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code
        for n in range(8)
    ]  # fmt: skip


@pytest.mark.parametrize("served", [{}], indirect=True)
def test_addresses_that_anybody_writes_are_not_believed(served: str) -> None:
    assert log_ins_from_many_addresses(served) == [401] * 5 + [429] * 3


@pytest.mark.parametrize("served", [{"TASKFLOW_TRUSTED_PROXIES": "127.0.0.0/8"}], indirect=True)
def test_addresses_that_a_trusted_proxy_writes_are(served: str) -> None:
    assert log_ins_from_many_addresses(served) == [401] * 8
