"""The primary moves: nothing is read from or written to a server that is not the primary any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from support.cluster import Node, open_address, open_cluster
from support.real_api import Instance, Person, open_instances
from support.work import until
from taskflow_sqlalchemy import migrate

NOWHERE = "redis://127.0.0.1:1"
HANG = 90.0
"""Seconds, against what hangs."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[Node, Node]]:
    with open_cluster() as (one, two):
        asyncio.run(migrate(one.url()))
        yield one, two


@asynccontextmanager
async def instance(url: str) -> AsyncIterator[tuple[Instance, Person]]:
    async with open_instances(url, NOWHERE) as (api,):
        yield api, await api.person()


async def write(api: Instance, person: Person, title: str = "A task") -> int:
    return (await api.call(person, "POST", "/tasks", json={"title": title})).status_code


async def reads(api: Instance, person: Person, number: int = 8) -> set[int]:
    """Return how so many reads at a time end: each takes a connection of its own."""
    answers = await asyncio.gather(*(api.call(person, "GET", "/tasks?limit=1") for _ in range(number)))
    return {answer.status_code for answer in answers}


async def readiness(api: Instance) -> int:
    return (await api.client.get("/health/ready")).status_code


async def writes_again(api: Instance, person: Person) -> float:
    """Return the seconds until a write is acknowledged."""
    began = time.monotonic()
    async with asyncio.timeout(HANG):
        while await write(api, person) != 201:
            pass
    return time.monotonic() - began


async def test_a_primary_that_turns_read_only_serves_nothing_until_it_is_back(
    cluster: tuple[Node, Node], caplog: pytest.LogCaptureFixture
) -> None:
    one, _ = cluster
    async with instance(one.url()) as (api, person):
        assert await reads(api, person) == {200}
        await asyncio.to_thread(one.set, "default_transaction_read_only", "on")
        try:
            for _ in range(2):
                assert await reads(api, person) == {503}
                assert await write(api, person) == 503
                assert await readiness(api) == 503
        finally:
            await asyncio.to_thread(one.set, "default_transaction_read_only", "off")
        await writes_again(api, person)
        assert await reads(api, person) == {200}
        assert await readiness(api) == 200
    told = [record.message for record in caplog.records if record.message.startswith("PostgreSQL")]
    assert ["away" in line for line in told] == [True, False], told


async def test_of_several_hosts_the_primary_is_used(cluster: tuple[Node, Node]) -> None:
    one, two = cluster
    several = f"postgresql://postgres@127.0.0.1:{two.port},127.0.0.1:{one.port}/taskflow"
    await migrate(several)
    async with instance(several) as (api, person):
        assert await write(api, person) == 201
        assert await reads(api, person) == {200}


async def test_after_a_promotion_the_old_primary_is_not_asked_and_nothing_is_lost(
    cluster: tuple[Node, Node], record_property: Callable[[str, object], None]
) -> None:
    one, two = cluster
    acknowledged: list[str] = []

    async def load(api: Instance, person: Person) -> None:
        while True:
            answer = await api.call(person, "POST", "/tasks", json={"title": "Under load"})
            if answer.status_code == 201:
                acknowledged.append(answer.json()["id"])
            await asyncio.sleep(0)

    async with open_address(one) as address, instance(address.url) as (api, person):
        other = await api.person()
        loads = [asyncio.create_task(load(api, person)) for _ in range(4)]
        await until(lambda: len(acknowledged) > 20)

        await asyncio.to_thread(one.crash)
        await asyncio.to_thread(two.promote)
        await asyncio.to_thread(one.rewind, two)
        await asyncio.to_thread(one.start, two)
        # The address still leads to the old primary, a standby by now.
        assert await reads(api, other) == {503}
        assert await write(api, other) == 503
        assert await readiness(api) == 503

        address.port = two.port
        record_property("seconds until a write was acknowledged", await writes_again(api, other))
        assert await readiness(api) == 200

        # What changes from now on is not known to the old primary.
        await asyncio.to_thread(one.execute, "SELECT pg_wal_replay_pause()")
        made = await api.task(other, title="Made after it")
        lists = await asyncio.gather(*(api.call(other, "GET", "/tasks?limit=1") for _ in range(16)))
        assert {answer.json()["data"][0]["id"] for answer in lists} == {made["id"]}
        two.execute("UPDATE sessions SET ended_at = now(), end_reason = 'logged_out' WHERE user_id = "
                    f"'{other.view.id}'", "taskflow")  # fmt: skip
        assert await reads(api, other, 16) == {401}

        count = len(acknowledged)
        await until(lambda: len(acknowledged) > count + 20)
        for each in loads:
            each.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        kept = {str(row[0]) for row in two.execute("SELECT id FROM tasks", "taskflow")}
        assert set(acknowledged) <= kept
        clients = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'taskflow'"
        assert one.execute(clients) == [(0,)]
