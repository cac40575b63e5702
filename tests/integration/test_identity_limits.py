"""Rate limits over two instances: with Redis, without, wiped, cut off; and whose requests are whose."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
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
RATE = Rate(120, 60)
"""A burst of 120, then one every 0.5 s; nothing of it is lost unless nobody asks for a minute."""
INTERVAL = RATE.interval

Beside = Callable[[], Awaitable[None]]


async def nothing() -> None:
    pass


@dataclass
class Patience:
    """How long every process waits for Redis, from now on."""

    seconds: float = 60.0


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Patience:
    """Have a Redis that a busy machine is slow to run not count as away."""
    patience = Patience()
    for limit in ("CONNECT_SECONDS", "ANSWER_SECONDS", "POOL_WAIT_SECONDS"):
        monkeypatch.setattr(client, limit, patience.seconds)
    deadline = property(lambda _: patience.seconds, lambda *_: None)
    monkeypatch.setattr(Batches, "_deadline", deadline, raising=False)
    return patience


@asynccontextmanager
async def two(database_url: str, *urls: str, **given: Any) -> AsyncIterator[list[Instance]]:
    async with AsyncExitStack() as stack:
        settings = [settings_of(database_url, url, **given) for url in urls]
        yield [await stack.enter_async_context(open_instance(each)) for each in settings]


class Flood:
    """Many clients of one person, as fast as they can, until nothing is left; counts what passes where."""

    def __init__(self, apis: list[Instance], person: Person) -> None:
        self.apis, self.person = apis, person
        self.passed = [0] * len(apis)
        self.codes: Counter[int] = Counter()
        self.elapsed = 0.0
        # When each first had answered, and when it was last asked by somebody whom it then refused.
        self._answered: dict[int, float] = {}
        self._refused: dict[int, float] = {}
        self._is_alone = False

    async def run(self, seconds: float, beside: Beside = nothing) -> None:
        began = time.monotonic()
        # All at first, so that each instance lets some of its clients pass.
        await asyncio.gather(*(self._ask(number) for number in range(CLIENTS)))
        await asyncio.gather(
            self._after(beside), *(self._client(number, began + seconds) for number in range(CLIENTS))
        )
        self.elapsed = time.monotonic() - began

    async def _after(self, beside: Beside) -> None:
        await beside()
        self._is_alone = True

    async def _client(self, number: int, until: float) -> None:
        while True:
            is_last = self._is_alone and time.monotonic() >= until
            if await self._ask(number):
                continue
            if is_last:
                return
            # Greedier than it is told to be, and not so that this one process does nothing else.
            await asyncio.sleep(0.05)

    async def _ask(self, number: int) -> bool:
        """Send a request; return whether it passed."""
        index, asked = number % len(self.apis), time.monotonic()
        answer = await self.apis[index].call(self.person, "GET", "/users/me")
        self._answered.setdefault(index, time.monotonic())
        self.codes[answer.status_code] += 1
        if answer.status_code != 429:
            self.passed[index] += answer.status_code == 200
            return True
        self._refused[index] = max(asked, self._refused.get(index, 0.0))
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["code"] == "rate_limited"
        return False

    @property
    def allowed(self) -> int:
        """The most that may have passed one limit."""
        return RATE.count + int(self.elapsed / INTERVAL)

    def taken(self, *indexes: int) -> int:
        """The least that has passed a limit that these instances keep, since in the end nothing was left."""
        begun = min(self._answered[index] for index in indexes)
        ended = max(self._refused[index] for index in indexes)
        return RATE.count + int((ended - begun) / INTERVAL) - 1


async def counted_in_redis(
    apis: list[Instance], seconds: float, caplog: pytest.LogCaptureFixture, beside: Beside = nothing
) -> Flood:
    """Return a flood in which Redis answered in time: the first, or one after it was away."""
    for _ in range(5):
        caplog.clear()
        flood = Flood(apis, await apis[0].person())
        await flood.run(seconds, beside)
        # Nor "is back": until then it was away since the flood before.
        if "Redis is" not in caplog.text:
            return flood
        await asyncio.sleep(1.5)
    raise AssertionError("Redis never answered in time.")


@pytest.mark.usefixtures("patience")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seconds", SECONDS)
async def test_both_instances_together_keep_one_limit(
    database_url: str, redis_url: str, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    async with two(database_url, redis_url, redis_url, rate_limit_api=RATE) as apis:
        flood = await counted_in_redis(apis, seconds, caplog)
        assert set(flood.codes) == {200, 429}
        # Never more, and so many clients leave nothing of it.
        assert flood.taken(0, 1) <= sum(flood.passed) <= flood.allowed
        assert min(flood.passed) > 0


async def test_without_redis_each_instance_keeps_it_by_itself(database_url: str) -> None:
    with throwaway_valkey() as valkey:
        async with two(database_url, valkey.url, valkey.url, rate_limit_api=RATE) as apis:
            flood = Flood(apis, await apis[0].person())
            await asyncio.to_thread(valkey.stop)
            await flood.run(3)
            assert set(flood.codes) == {200, 429}
            for index, passed in enumerate(flood.passed):
                assert flood.taken(index) <= passed <= flood.allowed


@pytest.mark.usefixtures("patience")
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
    database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture, patience: Patience
) -> None:
    async with (
        open_wire(redis_url) as wire,
        two(database_url, redis_url, wire.url, rate_limit_api=RATE) as apis,
    ):
        person = await apis[0].person()
        assert (await apis[1].call(person, "GET", "/users/me")).status_code == 200
        wire.cut()
        patience.seconds = 0.5
        apart = Flood(apis, person)
        await apart.run(3)
        assert set(apart.codes) == {200, 429}
        # One is away; on a busy machine the other may seem so too for a while, and limits by itself then.
        again = RATE.count * (caplog.text.count("Redis is") - 1)
        assert all(passed <= apart.allowed + again for passed in apart.passed)
        wire.mend()
        patience.seconds = 60.0
        # It looks for Redis a second after it last did.
        together = await counted_in_redis(apis, 3, caplog)
        assert sum(together.passed) <= together.allowed


@pytest.mark.usefixtures("patience")
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


@pytest.mark.usefixtures("patience")
async def test_log_ins_are_counted_by_address_over_both(database_url: str, redis_url: str) -> None:
    given = {"rate_limit_login": Rate(5, 3600), "rate_limit_register": Rate(2, 3600)}
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


@pytest.mark.usefixtures("patience")
async def test_an_attacker_elsewhere_neither_lifts_the_delay_nor_keeps_the_owner_out(
    database_url: str, redis_url: str, database: psycopg.Connection[Any]
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
            if number == 5:
                # The delay is a second by now; it is to last for minutes, as after some more.
                more = database.execute("UPDATE login_attempts SET number = 16 WHERE number = 5")
                assert more.rowcount == 1
            away = {"X-Forwarded-For": f"198.51.{number}.7"}
            codes.append((await log_in(number, "a wrong password", away)).status_code)
        assert codes == [401] * 5 + [429] * 7
        answer = await log_in(0, "a password of the tests", {"X-Forwarded-For": "203.0.113.9"})
        assert answer.json()["code"] == "too_many_attempts"
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await log_in(1, "a password of the tests", home)).status_code == 200
        # And that did not lift the others' delay.
        answer = await log_in(0, "a password of the tests", {"X-Forwarded-For": "203.0.113.9"})
        assert answer.json()["code"] == "too_many_attempts"


# --- whom to believe about addresses, with the real server -------------------------------------------


@pytest.fixture
def env(database_url: str) -> dict[str, str]:
    return {
        "TASKFLOW_DATABASE_URL": database_url,
        # One that is away at times would have some counted here and some there.
        "TASKFLOW_REDIS_URL": "redis://127.0.0.1:1/0",
        "TASKFLOW_RATE_LIMIT_LOGIN": "5/hour",
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
                   headers={"X-Forwarded-For": f"192.0.2.{n}"}, timeout=60).status_code
        for n in range(8)
    ]  # fmt: skip


@pytest.mark.parametrize("served", [{}], indirect=True)
def test_addresses_that_anybody_writes_are_not_believed(served: str) -> None:
    assert log_ins_from_many_addresses(served) == [401] * 5 + [429] * 3


@pytest.mark.parametrize("served", [{"TASKFLOW_TRUSTED_PROXIES": "127.0.0.0/8"}], indirect=True)
def test_addresses_that_a_trusted_proxy_writes_are(served: str) -> None:
    assert log_ins_from_many_addresses(served) == [401] * 8
