"""Removing what belongs to deleted accounts, beside the requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from support.http_world import World, client_of
from taskflow_core import Actor, Unavailable
from taskflow_http import purging
from taskflow_http.purging import Purger


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_deleted_account_is_purged(world: World) -> None:
    await world.task("other")

    answer = await world.send("admin", "DELETE", f"/users/{world.people['other'].id}")
    await settled()

    assert answer.status_code == 204
    assert world.people["other"].id not in world.store.users
    assert not world.store.tasks


async def test_nothing_is_purged_for_a_refused_deletion(world: World) -> None:
    runs: list[Actor] = []

    async def purge(actor: Actor) -> int:
        runs.append(actor)
        return 0

    async with client_of(world.app(purge_users=purge)) as client:
        await client.delete(f"/users/{world.people['other'].id}", headers=world.headers("manager"))
        await settled()

    assert runs == []


async def test_it_runs_alone_and_again_where_it_was_asked_for_meanwhile() -> None:
    running, most, runs = 0, 0, 0
    go_on = asyncio.Event()

    async def purge(_: Actor) -> int:
        nonlocal running, most, runs
        running, runs = running + 1, runs + 1
        most = max(most, running)
        await go_on.wait()
        running -= 1
        return 0

    purger = Purger(purge)
    for _ in range(5):
        purger.trigger()
    await settled()
    purger.trigger()
    await settled()
    assert (most, runs) == (1, 1)
    go_on.set()
    await settled()
    assert (most, runs) == (1, 2)
    purger.trigger()
    await settled()

    assert (most, runs) == (1, 3)


async def test_it_tries_again_where_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "PAUSES", (0.0, 0.0))
    errors: list[Any] = [Unavailable(), Unavailable()]

    async def purge(_: Actor) -> int:
        if errors:
            raise errors.pop()
        return 3

    with structlog.testing.capture_logs() as lines:
        Purger(purge).trigger()
        await settled()

    assert [line["log_level"] for line in lines] == ["warning", "warning", "info"]
    assert lines[-1]["rows"] == 3


async def test_a_fault_is_logged_and_does_not_stop_the_next() -> None:
    async def purge(_: Actor) -> int:
        raise RuntimeError

    purger = Purger(purge)
    with structlog.testing.capture_logs() as lines:
        purger.trigger()
        await settled()
        purger.trigger()
        await settled()

    assert [line["log_level"] for line in lines] == ["error", "error"]


async def test_closing_stops_it() -> None:
    stopped = asyncio.Event()

    async def purge(_: Actor) -> int:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return 0

    purger = Purger(purge)
    await purger.close()
    purger.trigger()
    await asyncio.sleep(0)
    await purger.close()

    assert stopped.is_set()
