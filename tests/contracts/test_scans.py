"""Scans: due now and then, one at a time over all schedulers."""

import asyncio
from datetime import timedelta

import pytest

from contracts.persistence import Persistence

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
SCANS = ("reconcile", "overdue", "clean_up")


async def take(persistence: Persistence, name: str = "overdue", delay: timedelta | None = HOUR) -> bool:
    async with persistence.transactions() as unit:
        taken = await unit.scans.take(name)
        if taken and delay is not None:
            unit.scans.put_off(name, delay)
        await unit.commit()
    return taken


@pytest.mark.parametrize("name", SCANS)
async def test_each_is_due_at_first_and_again_after_its_delay(persistence: Persistence, name: str) -> None:
    assert await take(persistence, name)
    assert not await take(persistence, name)
    await persistence.age(HOUR - 15 * SECOND)
    assert not await take(persistence, name)
    await persistence.age(15 * SECOND)
    assert await take(persistence, name)


async def test_one_says_nothing_of_the_others(persistence: Persistence) -> None:
    await take(persistence, "overdue")
    assert await take(persistence, "reconcile")
    assert await take(persistence, "clean_up")


async def test_one_that_nobody_knows_is_never_due(persistence: Persistence) -> None:
    assert not await take(persistence, "unknown")
    async with persistence.transactions() as unit:
        unit.scans.put_off("unknown", -HOUR)
        await unit.commit()
    assert not await take(persistence, "unknown")


async def test_one_that_is_not_put_off_stays_due(persistence: Persistence) -> None:
    assert await take(persistence, delay=None)
    assert await take(persistence, delay=timedelta())
    assert await take(persistence)
    assert not await take(persistence)


async def test_one_whose_taker_is_rolled_back_stays_due(persistence: Persistence) -> None:
    async with persistence.transactions() as unit:
        assert await unit.scans.take("overdue")
        unit.scans.put_off("overdue", HOUR)

    async def die() -> None:
        async with persistence.transactions() as unit:
            assert await unit.scans.take("overdue")
            unit.scans.put_off("overdue", HOUR)
            raise LookupError

    with pytest.raises(LookupError):
        await die()
    assert await take(persistence)


async def test_of_many_takers_one_gets_it(persistence: Persistence) -> None:
    taken = await asyncio.gather(*(take(persistence) for _ in range(16)))
    assert sorted(taken) == [False] * 15 + [True]


async def test_nobody_waits_for_who_is_at_it(concurrent_persistence: Persistence) -> None:
    persistence = concurrent_persistence
    async with persistence.transactions() as unit:
        assert await unit.scans.take("overdue")
        assert not await take(persistence)
        assert await take(persistence, "reconcile")
    assert await take(persistence)
