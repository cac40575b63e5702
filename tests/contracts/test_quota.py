"""An account keeps no more than its quota, whatever is written at once."""

import asyncio
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, OPERATOR, entry_of, new_id, new_task
from taskflow_core import HistoryEntry, JobKind, Quota, QuotaExceeded, Task, TaskChanges, TaskQuery
from taskflow_memory import MemoryTransactions

TITLE = "é" * 5  # 10 bytes in UTF-8
DELETED_LONG_AGO = NOW - timedelta(days=3650)


def limited(persistence: Persistence, quota: Quota) -> Persistence:
    """The same store under a quota."""
    transactions = copy(persistence.transactions)
    name = "quota" if isinstance(transactions, MemoryTransactions) else "_quota"
    object.__setattr__(transactions, name, quota)
    return replace(persistence, transactions=transactions)


async def add(persistence: Persistence, owner: UUID, *titles: str) -> list[Task]:
    tasks = [new_task(owner, title=title) for title in titles]
    async with persistence.transactions() as unit:
        for task in tasks:
            unit.tasks.add(task, entry_of(task))
        await unit.commit()
    return tasks


async def apply(
    persistence: Persistence, id: UUID, change: Callable[[Task], HistoryEntry | None], *heirs: UUID
) -> None:
    async with persistence.transactions() as unit:
        # Without texts, as batches load them: their bytes count all the same.
        task = (await unit.tasks.load([id], and_owners=heirs, texts=False))[id]
        entry = change(task)
        assert entry is not None
        unit.tasks.save(task, entry)
        await unit.commit()


def changed(**changes: Any) -> Callable[[Task], HistoryEntry | None]:
    return lambda task: task.change(
        TaskChanges(**changes),
        entry_id=new_id(),
        actor=OPERATOR,
        now=NOW,
    )


def deleted(task: Task) -> HistoryEntry | None:
    return task.delete(entry_id=new_id(), actor=OPERATOR, now=DELETED_LONG_AGO)


@pytest.mark.parametrize("quota", [Quota(tasks=2), Quota(bytes=20)])
async def test_what_goes_beyond_is_refused_whole(persistence: Persistence, quota: Quota) -> None:
    owner = (await persistence.new_user()).id
    here = limited(persistence, quota)
    await add(here, owner, TITLE)
    with pytest.raises(QuotaExceeded):
        await add(here, owner, TITLE, TITLE)
    await add(here, owner, TITLE)
    with pytest.raises(QuotaExceeded):
        await add(here, owner, "x")
    assert len((await here.task_reads.tasks(TaskQuery(owner=owner), NOW)).items) == 2


async def test_a_longer_text_counts_and_a_shorter_one_passes(persistence: Persistence) -> None:
    owner = (await persistence.new_user()).id
    here = limited(persistence, Quota(bytes=20))
    (task,) = await add(here, owner, TITLE)
    with pytest.raises(QuotaExceeded):
        await apply(here, task.id, changed(description="x" * 11))
    await apply(here, task.id, changed(description="x" * 10))
    lowered = limited(persistence, Quota(tasks=1, bytes=1))
    with pytest.raises(QuotaExceeded):
        await apply(lowered, task.id, changed(title=TITLE + "x"))
    await apply(lowered, task.id, changed(title="x"))
    await apply(here, task.id, changed(title=TITLE))


async def test_a_move_spends_the_receivers_quota_and_frees_the_givers(persistence: Persistence) -> None:
    giver, receiver = (await persistence.new_user()).id, (await persistence.new_user()).id
    here = limited(persistence, Quota(bytes=20))
    (task,) = await add(here, giver, TITLE + TITLE)
    await add(here, receiver, "x")
    with pytest.raises(QuotaExceeded):
        await apply(here, task.id, changed(user_id=receiver), receiver)
    with pytest.raises(QuotaExceeded):
        await add(here, giver, "x")
    empty = (await persistence.new_user()).id
    await apply(here, task.id, changed(user_id=empty), empty)
    await add(here, giver, TITLE + TITLE)
    with pytest.raises(QuotaExceeded):
        await add(here, empty, "x")


async def test_deleting_passes_and_frees_only_once_purged(persistence: Persistence) -> None:
    owner = (await persistence.new_user()).id
    (task,) = await add(persistence, owner, TITLE)
    here = limited(persistence, Quota(tasks=1, bytes=10))
    await apply(here, task.id, deleted)
    with pytest.raises(QuotaExceeded):
        await add(here, owner, "x")
    async with here.transactions() as unit:
        assert await unit.upkeep.remove(JobKind.CLEAN_TASKS, limit=10) == 1
        await unit.commit()
    await add(here, owner, TITLE)
    with pytest.raises(QuotaExceeded):
        await add(here, owner, "x")


async def test_writes_at_once_never_exceed_it(concurrent_persistence: Persistence) -> None:
    owner = (await concurrent_persistence.new_user()).id
    here = limited(concurrent_persistence, Quota(tasks=3))
    ended = await asyncio.gather(*(add(here, owner, "x") for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(end, list) for end in ended) == 3
    assert sum(isinstance(end, QuotaExceeded) for end in ended) == 9
