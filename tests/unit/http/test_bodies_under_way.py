"""How many bytes of bodies are in memory at a time, of one subject and of all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from support.http_world import World, client_of
from taskflow_http import HttpOptions
from taskflow_http.places import BODY_FREE

JSON = {"Content-Type": "application/json"}
LONG = 8 * BODY_FREE
"""Bytes: one subject may hold one of these and not two."""
OPTIONS = HttpOptions(bodies_max=6 * LONG)
BODY = json.dumps({"title": "x"}).encode()


def sending(
    client: httpx.AsyncClient, headers: dict[str, str], go_on: asyncio.Event, size: int = LONG
) -> asyncio.Task[httpx.Response]:
    """Send a body of a little more than `size` bytes, the last of them when told to go on."""

    async def content() -> AsyncIterator[bytes]:
        yield b" " * size
        await go_on.wait()
        yield BODY

    return asyncio.create_task(client.post("/tasks", content=content(), headers=headers | JSON))


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_bodies_of_one_user_are_bounded_by_bytes(world: World) -> None:
    go_on = asyncio.Event()
    user = {"Authorization": f"Bearer {world.token('user')}"}
    other = {"Authorization": f"Bearer {world.token('other')}"}
    async with client_of(world.app(options=OPTIONS)) as client:
        first = sending(client, user, go_on)
        await settle()
        second = await client.post("/tasks", content=b" " * LONG + BODY, headers=user | JSON)
        assert (second.status_code, second.json()["code"]) == (429, "too_many_concurrent")
        assert second.headers["retry-after"] == "1"
        # Short bodies are taken all the same, and others' too.
        short = await client.post("/tasks", content=BODY, headers=user | JSON)
        of_other = await client.post("/tasks", content=b" " * LONG + BODY, headers=other | JSON)
        assert (short.status_code, of_other.status_code) == (201, 201)
        go_on.set()
        assert (await first).status_code == 201
        again = await client.post("/tasks", content=b" " * LONG + BODY, headers=user | JSON)
        assert again.status_code == 201


@pytest.mark.parametrize("ending", ["answered", "cancelled"])
async def test_bodies_of_all_are_bounded_by_bytes(world: World, ending: str) -> None:
    go_on = asyncio.Event()
    options = HttpOptions(bodies_max=4 * LONG)
    size = LONG - 1024
    tokens = {name: {"Authorization": f"Bearer {world.token(name)}"} for name in ("user", "other", "manager")}
    admin = {"Authorization": f"Bearer {world.token('admin')}"}
    async with client_of(world.app(options=options)) as client:
        held = [sending(client, headers, go_on, size) for headers in tokens.values()]
        held.append(sending(client, admin, go_on, size))
        await settle()
        # Each of four has its quarter. Nobody is left who has one, so the bound of all is met by an address.
        refresh = json.dumps({"refresh_token": "x"}).encode()
        refused = await client.post("/auth/refresh", content=b" " * size + refresh, headers=JSON)
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        if ending == "answered":
            go_on.set()
        else:
            for task in held:
                task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        taken = await client.post("/auth/refresh", content=b" " * size + refresh, headers=JSON)
        assert taken.status_code not in (429, 503)
