"""What one subject may have under way at a time, and what all expensive requests may together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from support.http_world import PASSWORD, World, client_of, let_pass
from taskflow_core import Overloaded
from taskflow_http import HttpOptions
from taskflow_http.places import LINE, WAIT, Bulkhead


@dataclass
class Held:
    """Use cases that do not end before they are let go."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    inside: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    def holding(self, name: str, use_case: Any) -> Any:
        async def hold(*args: Any) -> Any:
            self.inside[name] += 1
            self.most[name] = max(self.most[name], self.inside[name])
            try:
                await self.go.wait()
                return await use_case(*args)
            finally:
                self.inside[name] -= 1

        return hold


@asynccontextmanager
async def held(world: World, *, expensive: int = 5) -> AsyncIterator[tuple[Held, httpx.AsyncClient]]:
    gate, cases = Held(), world.use_cases
    names = ("list_tasks", "count_tasks", "change_tasks", "change_task", "refresh")
    replaced = {name: gate.holding(name, getattr(cases, name)) for name in names}
    app = world.app(options=HttpOptions(expensive_concurrency=expensive), **replaced)
    async with client_of(app) as client:
        yield gate, client


async def settle() -> None:
    """Let every request come as far as it can."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_one_user_has_a_few_places_and_others_have_theirs(world: World) -> None:
    task = f"/tasks/{await world.task('user')}"
    async with held(world) as (gate, client):
        patches = [
            asyncio.create_task(client.patch(task, json={"title": "x"}, headers=world.headers("user")))
            for _ in range(4 + LINE + 3)
        ]
        await settle()
        assert gate.inside["change_task"] == 4
        # The line is full: the last are refused at once, and told when to come again.
        refused = [patch.result() for patch in patches if patch.done()]
        assert [(r.status_code, r.json()["code"], r.headers["retry-after"]) for r in refused] == [
            (429, "too_many_concurrent", "1")
        ] * 3
        assert (await client.get("/users/me", headers=world.headers("other"))).status_code == 200
        assert (await client.get("/health/live")).status_code == 200
        gate.go.set()
        answers = await asyncio.gather(*patches)
    assert Counter(answer.status_code for answer in answers) == {200: 4 + LINE, 429: 3}
    assert gate.most["change_task"] == 4


@pytest.mark.parametrize(
    ("who", "path"),
    [
        ("user", "/tasks?search=zz"),
        ("manager", "/tasks?userId=any"),
        ("manager", "/tasks/stats?userId=any"),
        ("user", "/tasks/batch"),
    ],
)
async def test_expensive_requests_of_one_user_have_half_of_its_places(
    world: World, who: str, path: str
) -> None:
    body = {"action": "complete", "tasks": [str(await world.task(who))]}
    async with held(world) as (gate, client):

        def ask() -> Any:
            headers = world.headers(who)
            send = client.post(path, json=body, headers=headers) if "batch" in path else None
            return asyncio.create_task(send or client.get(path, headers=headers))

        asked = [ask() for _ in range(4)]
        await settle()
        assert gate.inside.total() == 2
        gate.go.set()
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}


async def test_expensive_requests_of_everybody_share_a_bound(world: World) -> None:
    async with held(world, expensive=3) as (gate, client):
        asked = [
            asyncio.create_task(client.get("/tasks?search=zz", headers=world.headers(who)))
            for who in ("user", "other", "manager", "admin")
            for _ in range(2)
        ]
        await settle()
        assert gate.inside["list_tasks"] == 3
        own = asyncio.create_task(client.get("/tasks", headers=world.headers("user")))
        await settle()
        assert gate.inside["list_tasks"] == 4  # a cheap list needs no share
        let_pass(WAIT)
        refused = [answer for answer in await asyncio.gather(*asked[3:]) if answer.status_code == 503]
        assert [answer.json()["code"] for answer in refused] == ["overloaded"] * 5
        gate.go.set()
        await asyncio.gather(*asked[:3], own)


async def test_an_address_has_places_where_nobody_is_signed_in(world: World) -> None:
    async with held(world) as (gate, client):

        def refresh(address: str) -> asyncio.Task[httpx.Response]:
            headers = {"x-test-address": address}
            return asyncio.create_task(
                client.post("/auth/refresh", json={"refresh_token": "x"}, headers=headers)
            )

        asked = [refresh("192.0.2.1") for _ in range(10)] + [refresh("192.0.2.2")]
        await settle()
        assert gate.inside["refresh"] == 4 + 1
        gate.go.set()
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {401}
        login = await client.post("/auth/login", json={"email": "user@example.com", "password": PASSWORD})
    assert login.status_code == 200


async def test_who_leaves_or_is_cancelled_gives_its_place_back() -> None:
    bulkhead = Bulkhead(1, 8, Overloaded)
    begun = asyncio.Event()

    async def hold() -> None:
        async with bulkhead.place("key"):
            begun.set()
            await asyncio.Event().wait()

    for _ in range(3):
        begun.clear()
        holder, waiter, gone = (asyncio.create_task(hold()) for _ in range(3))
        await begun.wait()
        await asyncio.sleep(0)
        gone.cancel()
        holder.cancel()
        await asyncio.sleep(0)
        # The place was handed to the waiter, which is cancelled in the same moment.
        waiter.cancel()
        await asyncio.gather(holder, waiter, gone, return_exceptions=True)
    async with asyncio.timeout(10), bulkhead.place("key"):
        pass
    assert not bulkhead._running
    assert not bulkhead._waiting
