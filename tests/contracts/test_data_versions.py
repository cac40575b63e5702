"""An owner's data version moves with each change of its tasks, and with nothing else."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, OPERATOR, new_id
from taskflow_core import (
    HistoryEntry,
    Task,
    TaskChanges,
    User,
)

LATER = NOW + timedelta(hours=1)


Change = Callable[[Task], HistoryEntry | None]


CHANGES: dict[str, Change] = {
    "change": lambda t: t.change(TaskChanges(title="B"), entry_id=new_id(), actor=OPERATOR, now=LATER),
    "delete": lambda t: t.delete(entry_id=new_id(), actor=OPERATOR, now=LATER),
}


async def apply(persistence: Persistence, task: Task, change: Change, *heirs: User) -> None:
    async with persistence.transactions() as unit:
        loaded = (await unit.tasks.load([task.id], and_owners=[heir.id for heir in heirs]))[task.id]
        entry = change(loaded)
        assert entry is not None
        unit.tasks.save(loaded, entry)
        await unit.commit()


async def test_a_new_task_moves_its_owners(persistence: Persistence) -> None:
    owner, other = await persistence.new_user(), await persistence.new_user()
    before = [await persistence.data_version(user.id) for user in (owner, other)]
    await persistence.new_task(owner.id)
    after = [await persistence.data_version(user.id) for user in (owner, other)]
    assert after[0] > before[0]
    assert after[1] == before[1]


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_moves_its_owners(persistence: Persistence, name: str) -> None:
    owner, other = await persistence.new_user(), await persistence.new_user()
    task = await persistence.new_task(owner.id)
    await persistence.new_task(other.id)
    before = [await persistence.data_version(user.id) for user in (owner, other)]
    await apply(persistence, task, CHANGES[name])
    after = [await persistence.data_version(user.id) for user in (owner, other)]
    assert after[0] > before[0]
    assert after[1] == before[1]


async def test_a_restoration_moves_its_owners(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = await persistence.new_task(owner.id, deleted_at=NOW)
    before = await persistence.data_version(owner.id)
    await apply(persistence, task, lambda t: t.restore(entry_id=new_id(), actor=OPERATOR, now=LATER))
    assert await persistence.data_version(owner.id) > before


async def test_a_task_that_moves_moves_both(persistence: Persistence) -> None:
    owner, heir = await persistence.new_user(), await persistence.new_user()
    task = await persistence.new_task(owner.id)
    before = [await persistence.data_version(user.id) for user in (owner, heir)]
    changes = TaskChanges(user_id=heir.id)
    await apply(
        persistence,
        task,
        lambda t: t.change(changes, entry_id=new_id(), actor=OPERATOR, now=LATER),
        heir,
    )
    after = [await persistence.data_version(user.id) for user in (owner, heir)]
    assert all(new > old for new, old in zip(after, before, strict=True))


async def test_what_is_taken_back_moves_nothing(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = await persistence.new_task(owner.id)
    before = await persistence.data_version(owner.id)
    async with persistence.transactions() as unit:
        loaded = (await unit.tasks.load([task.id]))[task.id]
        unit.tasks.save(loaded, loaded.delete(entry_id=new_id(), actor=OPERATOR, now=LATER))
    async with persistence.transactions() as unit:
        await unit.tasks.load([task.id])
        await unit.commit()
    assert await persistence.data_version(owner.id) == before
