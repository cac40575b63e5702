"""Liveness and readiness."""

from __future__ import annotations

import asyncio

import pytest

from support.http_world import World, client_of, let_pass
from taskflow_http import HttpOptions


async def up() -> None:
    pass


async def down() -> None:
    raise OSError("could not connect to db.internal:5432 as taskflow")


async def hangs() -> None:
    let_pass(60)
    await asyncio.sleep(60)


async def test_all_is_well(world: World) -> None:
    async with client_of(world.app(checks={"postgresql": up, "valkey": up})) as client:
        answer = await client.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"postgresql": "up", "valkey": "up"}}


async def test_what_is_dispensable_is_told_and_turns_nobody_away(world: World) -> None:
    options = HttpOptions(dispensable=frozenset({"valkey"}))
    async with client_of(world.app(checks={"postgresql": up, "valkey": down}, options=options)) as client:
        answer = await client.get("/health/ready")
    async with client_of(world.app(checks={"postgresql": down, "valkey": down}, options=options)) as client:
        both = await client.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "checks": {"postgresql": "up", "valkey": "down"}}
    assert both.status_code == 503


@pytest.mark.parametrize("failing", [down, hangs])
async def test_what_is_down_is_told(world: World, failing: object) -> None:
    checks = {"postgresql": up, "valkey": failing}
    options = HttpOptions(check_timeout=30, request_timeout=600)
    async with client_of(world.app(checks=checks, options=options)) as client:  # type: ignore[arg-type]
        answer = await client.get("/health/ready", headers={"X-Request-ID": "req-1"})
        live = await client.get("/health/live")

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    told = answer.json()
    assert told["checks"] == {"postgresql": "up", "valkey": "down"}
    assert (told["code"], told["requestId"]) == ("unavailable", "req-1")
    assert "internal" not in answer.text
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
