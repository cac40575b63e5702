"""Limits by address and by user, and what clients are told of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from support.http_world import NOBODY, PASSWORD, World, client_of, limits
from taskflow_memory import MemoryRateLimits

LOGIN = {"email": "user@example.com", "password": PASSWORD}
REGISTRATION = {"name": "New", "password": PASSWORD}


class Time:
    """Seconds that stand until they are moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def limited(world: World, time: Time | None = None, **rates: str) -> AsyncIterator[httpx.AsyncClient]:
    counting = MemoryRateLimits(time or Time())
    async with client_of(world.app(limits=limits(counting, **rates))) as client:
        yield client


def told(answer: httpx.Response) -> tuple[int, str | None, str | None, str | None]:
    names = ("ratelimit-policy", "ratelimit", "retry-after")
    policy, state, retry = (answer.headers.get(name) for name in names)
    return answer.status_code, policy, state, retry


async def test_a_user_is_limited_and_told_so(world: World) -> None:
    time = Time()
    async with limited(world, time, api="2/minute") as client:
        answers = [await client.get("/users/me", headers=world.headers("user")) for _ in range(3)]
        other = await client.get("/users/me", headers=world.headers("other"))
        time.now += 30
        after = await client.get("/users/me", headers=world.headers("user"))

    policy = '"api";q=2;w=60'
    assert [told(answer) for answer in answers] == [
        (200, policy, '"api";r=1;t=30', None),
        (200, policy, '"api";r=0;t=60', None),
        (429, policy, '"api";r=0;t=60', "30"),
    ]
    assert answers[2].json() == {
        "type": "urn:taskflow:problem:rate_limited",
        "title": "Too many requests",
        "status": 429,
        "detail": "Too many requests; wait a little.",
        "code": "rate_limited",
        "requestId": answers[2].headers["x-request-id"],
    }
    assert told(other)[:3] == (200, policy, '"api";r=1;t=30')
    assert told(after)[:3] == (200, policy, '"api";r=0;t=60')


async def test_all_sessions_of_a_user_count_together(world: World) -> None:
    async with limited(world, api="1/minute") as client:
        first = await client.get("/users/me", headers=world.headers("user"))
        world.sessions["user"] = world.open_session("user")
        second = await client.get("/users/me", headers=world.headers("user"))

    assert (first.status_code, second.status_code) == (200, 429)


@pytest.mark.parametrize(
    ("rate", "path", "body"),
    [
        ("login", "/auth/login", LOGIN),
        ("refresh", "/auth/refresh", {"refresh_token": "x"}),
        ("register", "/auth/register", REGISTRATION),
    ],
)
async def test_signing_in_is_limited_by_address(
    world: World, rate: str, path: str, body: dict[str, Any]
) -> None:
    async def send(client: httpx.AsyncClient, number: int) -> httpx.Response:
        more = {"email": f"new{number}@example.com"} if rate == "register" else {}
        address = {"X-Test-Address": "2" if number == 3 else "1"}
        return await client.post(path, json=body | more, headers=address)

    async with limited(world, None, **{rate: "2/minute"}) as client:
        answers = [await send(client, number) for number in range(4)]

    passed = answers[0].status_code
    assert passed in (200, 201, 401)
    assert [answer.status_code for answer in answers] == [passed, passed, 429, passed]
    assert answers[2].headers["ratelimit"] == f'"{rate}";r=0;t=60'
    assert answers[2].headers["retry-after"] == "30"


async def test_each_class_has_its_own_count(world: World) -> None:
    rates = dict.fromkeys(("login", "refresh", "register", "api"), "1/minute")
    async with limited(world, None, **rates) as client:
        answers = [
            await client.post("/auth/login", json=LOGIN),
            await client.post("/auth/refresh", json={"refresh_token": "x"}),
            await client.post("/auth/register", json=REGISTRATION | {"email": "new@example.com"}),
            await client.get("/users/me", headers=world.headers("user")),
        ]

    assert [answer.status_code for answer in answers] == [200, 401, 201, 200]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/openapi.json", "/api", "/nope"])
async def test_what_is_open_to_all_is_not_counted(world: World, path: str) -> None:
    async with limited(world, api="1/minute", login="1/minute") as client:
        answers = [await client.get(path) for _ in range(3)]

    assert all("ratelimit" not in answer.headers for answer in answers)


@pytest.mark.parametrize("size", [3, 5])
async def test_a_batch_counts_for_its_tasks(world: World, size: int) -> None:
    ids = [str(await world.task("user")) for _ in range(size)]
    body = {"action": "complete", "tasks": ids}
    async with limited(world, api="4/minute") as client:
        answer = await client.post("/tasks/batch", json=body, headers=world.headers("user"))
        again = await client.post("/tasks/batch", json=body, headers=world.headers("user"))

    # Five are more than a burst, and count for a whole one: they could never pass otherwise.
    assert told(answer)[:3] == (200, '"api";q=4;w=60', f'"api";r={max(4 - size, 0)};t={min(size, 4) * 15}')
    assert again.status_code == 429


async def test_a_bad_batch_counts_for_one(world: World) -> None:
    async with limited(world, api="4/minute") as client:
        answer = await client.post("/tasks/batch", json={"tasks": [1, 2, 3]}, headers=world.headers("user"))
        nobody = await client.post("/tasks/batch", json={"tasks": [1]})

    assert (answer.status_code, answer.headers["ratelimit"]) == (422, '"api";r=3;t=15')
    assert nobody.status_code == 401


async def test_errors_tell_the_limit_too(world: World) -> None:
    async with limited(world, api="9/minute") as client:
        for method, path, status in [
            ("GET", f"/tasks/{NOBODY}", 404), ("GET", "/users", 403), ("GET", "/tasks?x=1", 422),
            ("POST", "/tasks", 415),
        ]:  # fmt: skip
            answer = await client.request(method, path, headers=world.headers("user"))
            assert (answer.status_code, "ratelimit" in answer.headers) == (status, True)


async def test_bad_tokens_count_against_the_address(world: World) -> None:
    async with limited(world, api="2/minute") as client:
        bad = [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Bearer nonsense"}, {}]
        answers = [await client.get("/users/me", headers=headers) for headers in bad]
        elsewhere = await client.get("/users/me", headers={"X-Test-Address": "2"})
        # Behind the same address somebody is signed in.
        good = await client.get("/users/me", headers=world.headers("user"))

    assert [answer.status_code for answer in answers] == [401, 401, 429, 429]
    assert answers[0].headers["ratelimit"] == '"api";r=1;t=30'
    assert elsewhere.status_code == 401
    assert (good.status_code, good.headers["ratelimit"]) == (200, '"api";r=1;t=30')


async def test_who_asks_comes_before_how_often(world: World) -> None:
    headers = world.headers("user")
    async with limited(world, api="1/minute") as client:
        await client.get("/users/me", headers=headers)
        await world.send("user", "POST", "/auth/logout")
        answer = await client.get("/users/me", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["ratelimit"] == '"api";r=0;t=60'


@pytest.mark.parametrize(("length", "cost"), [(1, 1), (10_000, 3)])
async def test_long_texts_count_for_their_bytes(world: World, length: int, cost: int) -> None:
    ids = [str(await world.task("user")) for _ in range(4)]
    text, remaining = {"description": "\U0001f300" * length}, []
    async with limited(world, api="100/minute") as client:
        for method, path, body in (
            ("POST", "/tasks", {"title": "x"} | text),
            ("PATCH", f"/tasks/{ids[0]}", text),
            ("POST", "/tasks/batch", {"action": "update", "tasks": ids, "set": text}),
        ):
            answer = await client.request(method, path, json=body, headers=world.headers("user"))
            assert answer.is_success
            remaining.append(answer.headers["ratelimit"])
    spent = (cost, 2 * cost, 6 * cost)
    assert [told.split(";")[1] for told in remaining] == [f"r={100 - units}" for units in spent]


async def test_password_changes_have_a_limit_of_their_own_failed_ones_too(world: World) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": "user@example.com"}
    async with limited(world, password="2/hour") as client:
        answers = [
            await client.post("/auth/password", json=body, headers=world.headers("user")) for _ in range(3)
        ]
        other = await client.post("/auth/password", json=body, headers=world.headers("other"))
    assert [answer.status_code for answer in answers] == [422, 422, 429]
    assert told(answers[2]) == (429, '"password";q=2;w=3600', '"password";r=0;t=3600', "1800")
    assert other.status_code == 204
