"""What is ended or changed on one instance counts in the next request on another, whatever Redis does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from redis.asyncio import Redis

from support.real_api import Instance, Person, open_instance, settings_of
from support.wires import open_wire
from taskflow_core import Rate, Role
from taskflow_embedded import throwaway_valkey

ROUNDS = [100, pytest.param(1_000, marks=pytest.mark.slow)]
# So high that it never refuses, and Redis is asked in every request.
ASKED = Rate(1_000_000, 1)

Between = Callable[[], Awaitable[object]]


@asynccontextmanager
async def two(database_url: str, urls: tuple[str, str]) -> AsyncIterator[tuple[Instance, Instance]]:
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(
                open_instance(settings_of(database_url, url, rate_limit_api=ASKED))
            )
            for url in urls
        ]
        yield first, second


async def role_changes(a: Instance, b: Instance, rounds: int, between: Between) -> None:
    """The admin promotes and demotes on A; what the person may do is asked of B."""
    admin, person = await a.person(Role.ADMIN), await a.person()
    assert (await b.call(person, "GET", "/users?limit=1")).status_code == 403
    for number in range(rounds):
        role, expected = ("manager", 200) if number % 2 == 0 else ("user", 403)
        await changed(a, admin, person, {"role": role})
        await between()
        answer = await b.call(person, "GET", "/users?limit=1")
        assert answer.status_code == expected, (number, answer.text)


async def log_outs(a: Instance, b: Instance, rounds: int, between: Between) -> None:
    person = await a.person()
    for number in range(rounds):
        assert (await b.call(person, "GET", "/users/me")).status_code == 200
        assert (await a.call(person, "POST", "/auth/logout")).status_code == 204
        await between()
        answer = await b.call(person, "GET", "/users/me")
        assert answer.status_code == 401, (number, answer.text)
        assert (await refreshed(b, person)).status_code == 401
        person.signed_in = await a.sign_in(person.email)


async def deactivations(a: Instance, b: Instance, rounds: int, between: Between) -> None:
    admin, person = await a.person(Role.ADMIN), await a.person()
    for number in range(rounds):
        assert (await b.call(person, "GET", "/users/me")).status_code == 200
        await changed(a, admin, person, {"active": False})
        await between()
        answer = await b.call(person, "GET", "/users/me")
        assert answer.status_code == 401, (number, answer.text)
        assert (await refreshed(b, person)).status_code == 401
        await changed(a, admin, person, {"active": True})
        # What was ended stays ended.
        assert (await b.call(person, "GET", "/users/me")).status_code == 401
        person.signed_in = await a.sign_in(person.email)


async def changed(api: Instance, admin: Person, person: Person, change: dict[str, object]) -> None:
    answer = await api.call(admin, "PATCH", f"/users/{person.view.id}", json=change)
    assert answer.status_code == 200, answer.text


async def refreshed(api: Instance, person: Person) -> httpx.Response:
    return await api.client.post("/auth/refresh", json={"refresh_token": person.signed_in.refresh_token})


async def all_of_it(a: Instance, b: Instance, rounds: int, between: Between) -> None:
    """Three kinds of change at once: each counts its own rounds."""
    await asyncio.gather(
        role_changes(a, b, rounds, between),
        log_outs(a, b, rounds, between),
        deactivations(a, b, rounds, between),
    )


async def nothing() -> None:
    pass


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", ROUNDS)
async def test_with_redis(database_url: str, redis_url: str, rounds: int) -> None:
    async with Redis.from_url(redis_url) as client, two(database_url, (redis_url, redis_url)) as (a, b):
        await client.config_resetstat()
        await all_of_it(a, b, rounds, nothing)
        # It was asked, and not only about.
        assert "cmdstat_evalsha" in await client.info("commandstats")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", ROUNDS)
async def test_with_redis_wiped_between_the_two(database_url: str, redis_url: str, rounds: int) -> None:
    async with Redis.from_url(redis_url) as client, two(database_url, (redis_url, redis_url)) as (a, b):
        await all_of_it(a, b, rounds, client.flushall)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", ROUNDS)
async def test_with_redis_stopped(database_url: str, rounds: int) -> None:
    with throwaway_valkey() as valkey:
        async with two(database_url, (valkey.url, valkey.url)) as (a, b):
            warm = await a.person()
            for api in (a, b):
                assert (await api.call(warm, "GET", "/users/me")).status_code == 200
            await asyncio.to_thread(valkey.stop)
            await all_of_it(a, b, rounds, nothing)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", ROUNDS)
async def test_with_redis_cut_off_from_one_of_them(
    database_url: str, redis_url: str, rounds: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_wire(redis_url) as wire, two(database_url, (redis_url, wire.url)) as (a, b):
        warm = await b.person()
        async with asyncio.timeout(60):
            while not wire.carried:
                assert (await b.call(warm, "GET", "/users/me")).status_code == 200
        wire.cut()
        carried = wire.carried
        await all_of_it(a, b, rounds, nothing)
        assert wire.carried == carried
        # And mended, B counts there again.
        caplog.clear()
        wire.mend()
        async with asyncio.timeout(60):
            while "Redis is back" not in caplog.text:
                assert (await b.call(warm, "GET", "/users/me")).status_code == 200
        assert wire.carried > carried
