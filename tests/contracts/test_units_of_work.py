"""A unit of work is kept whole or not at all; what it loads is what is there."""

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, OPERATOR, entry_of, new_id, new_task, new_user
from taskflow_core import (
    Role,
    TaskChanges,
    UnknownOwner,
    User,
)

LATER = NOW + timedelta(hours=1)


class TestAllOrNothing:
    async def test_leaving_without_commit_takes_everything_back(self, persistence: Persistence) -> None:
        owner = await persistence.new_user()
        task = await persistence.new_task(owner.id)
        new, newcomer = new_task(owner.id), new_user()
        async with persistence.transactions() as unit:
            loaded = (await unit.tasks.load([task.id]))[task.id]
            entry = loaded.delete(entry_id=new_id(), actor=OPERATOR, now=LATER)
            unit.tasks.save(loaded, entry)
            unit.tasks.add(new, entry_of(new))
            unit.users.add(newcomer)
        assert await persistence.task(task.id) == task
        assert await persistence.task(new.id) is None
        assert await persistence.user(newcomer.id) is None
        assert len(await persistence.history(task.id)) == 1

    async def test_an_error_takes_everything_back_and_gets_out(self, persistence: Persistence) -> None:
        owner = await persistence.new_user()
        task = await persistence.new_task(owner.id)

        async def fail() -> None:
            async with persistence.transactions() as unit:
                loaded = (await unit.tasks.load([task.id]))[task.id]
                unit.tasks.save(loaded, loaded.delete(entry_id=new_id(), actor=OPERATOR, now=LATER))
                raise LookupError("of the caller")

        with pytest.raises(LookupError, match="of the caller"):
            await fail()
        assert await persistence.task(task.id) == task

    async def test_an_error_after_the_commit_takes_nothing_back(self, persistence: Persistence) -> None:
        user = new_user()

        async def fail() -> None:
            async with persistence.transactions() as unit:
                unit.users.add(user)
                await unit.commit()
                raise LookupError

        with pytest.raises(LookupError):
            await fail()
        assert await persistence.user(user.id) == user

    async def test_a_unit_without_work_may_commit(self, persistence: Persistence) -> None:
        async with persistence.transactions() as unit:
            await unit.commit()

    async def test_a_unit_may_make_an_account_and_its_tasks(self, persistence: Persistence) -> None:
        user = new_user()
        tasks = [new_task(user.id), new_task(user.id)]
        async with persistence.transactions() as unit:
            unit.users.add(user)
            for task in tasks:
                unit.tasks.add(task, entry_of(task))
            await unit.commit()
        assert [await persistence.task(task.id) for task in tasks] == tasks

    async def test_what_was_handed_out_is_a_copy(self, persistence: Persistence) -> None:
        user = await persistence.new_user()
        task = await persistence.new_task(user.id)
        as_stored = replace(task), replace(user)
        loaded, loaded_user = await persistence.task(task.id), await persistence.user(user.id)
        assert loaded is not None
        assert loaded_user is not None
        for mine in (task, loaded):
            mine.title = "changed"
        for person in (user, loaded_user):
            person.name = "changed"
        assert await persistence.task(task.id) == as_stored[0]
        assert await persistence.user(user.id) == as_stored[1]


class TestLoading:
    async def test_only_those_that_exist_are_returned(self, persistence: Persistence) -> None:
        owner = await persistence.new_user()
        task = await persistence.new_task(owner.id)
        async with persistence.transactions() as unit:
            loaded = await unit.tasks.load([new_id(), task.id, task.id, owner.id])
        assert loaded == {task.id: task}

    async def test_deleted_ones_are_returned(self, persistence: Persistence) -> None:
        owner = await persistence.new_user()
        task = await persistence.new_task(owner.id, deleted_at=NOW)
        assert await persistence.task(task.id) == task

    async def test_nothing_may_be_asked_for(self, persistence: Persistence) -> None:
        owner = await persistence.new_user()
        async with persistence.transactions() as unit:
            assert await unit.tasks.load([], and_owners=[owner.id]) == {}
        async with persistence.transactions() as unit:
            assert await unit.tasks.load([]) == {}

    async def test_without_texts_descriptions_are_left_out_and_left_alone(
        self, persistence: Persistence
    ) -> None:
        owner = await persistence.new_user()
        task = await persistence.new_task(owner.id, description="long")
        async with persistence.transactions() as unit:
            loaded = (await unit.tasks.load([task.id], texts=False))[task.id]
            assert loaded == replace(task, description=None)
            changes = TaskChanges(title="changed")
            entry = loaded.change(changes, entry_id=new_id(), actor=OPERATOR, now=LATER)
            assert entry is not None
            unit.tasks.save(loaded, entry)
            await unit.commit()
        stored = await persistence.task(task.id)
        assert stored is not None
        assert (stored.title, stored.description) == ("changed", "long")

    @pytest.mark.parametrize("kept", [True, False])
    async def test_what_was_flushed_is_kept_by_the_commit_alone(
        self, persistence: Persistence, *, kept: bool
    ) -> None:
        owner = await persistence.new_user()
        tasks = [await persistence.new_task(owner.id, description="before") for _ in range(2)]
        async with persistence.transactions() as unit:
            await unit.tasks.load([task.id for task in tasks], texts=False)
            for task in tasks:
                loaded = (await unit.tasks.load([task.id]))[task.id]
                changes = TaskChanges(description=None)
                entry = loaded.change(changes, entry_id=new_id(), actor=OPERATOR, now=LATER)
                assert entry is not None
                unit.tasks.save(loaded, entry)
                await unit.flush()
            seen = await persistence.task_reads.task(tasks[0].id, owner=None)
            assert seen is not None
            assert seen.description == "before"
            if kept:
                await unit.commit()
        expected = (None, 2, 2) if kept else ("before", 1, 1)
        for task in tasks:
            stored = await persistence.task(task.id)
            assert stored is not None
            assert (stored.description, stored.version, len(await persistence.history(task.id))) == expected

    async def test_a_thousand_at_once_come_back(self, persistence: Persistence) -> None:
        owner = await persistence.new_user()
        tasks = [new_task(owner.id) for _ in range(1_000)]
        await persistence.add_tasks(*tasks)
        async with persistence.transactions() as unit:
            loaded = dict(await unit.tasks.load([task.id for task in tasks]))
            for task in loaded.values():
                changes = TaskChanges(title="changed")
                entry = task.change(changes, entry_id=new_id(), actor=OPERATOR, now=LATER)
                assert entry is not None
                unit.tasks.save(task, entry)
            await unit.commit()
        stats = await persistence.task_reads.stats(owner.id, NOW)
        assert (len(loaded), stats.total) == (1_000, 1_000)
        assert await persistence.task(tasks[-1].id) == loaded[tasks[-1].id]

    async def test_users_are_loaded_with_all_admins(self, persistence: Persistence) -> None:
        admin, other, inactive, manager, marked = (
            await persistence.new_user(Role.ADMIN),
            await persistence.new_user(Role.ADMIN),
            await persistence.new_user(Role.ADMIN, active=False),
            await persistence.new_user(Role.MANAGER),
            await persistence.new_user(Role.ADMIN),
        )
        await persistence.mark_deleted(marked.id)
        admins = {each.id: each for each in (admin, other, inactive)}
        async with persistence.transactions() as unit:
            assert await unit.users.load_many([manager.id, marked.id, new_id()]) == {manager.id: manager}
        async with persistence.transactions() as unit:
            loaded = await unit.users.load_many([manager.id, marked.id], and_admins=True)
            assert loaded == admins | {manager.id: manager}


class TestOwners:
    async def owner_that_is(self, persistence: Persistence, kind: str) -> User:
        owner = new_user()
        if kind == "marked":
            await persistence.add_users(owner)
            await persistence.mark_deleted(owner.id)
        return owner

    @pytest.mark.parametrize("kind", ["unknown", "marked"])
    async def test_a_new_task_needs_one(self, persistence: Persistence, kind: str) -> None:
        nobody = await self.owner_that_is(persistence, kind)
        somebody = await persistence.new_user()
        fine, orphan = new_task(somebody.id), new_task(nobody.id)
        with pytest.raises(UnknownOwner):
            await persistence.add_tasks(fine, orphan)
        assert await persistence.task(fine.id) is None
        assert await persistence.task(orphan.id) is None

    @pytest.mark.parametrize("kind", ["unknown", "marked"])
    async def test_who_is_to_get_tasks_must_exist(self, persistence: Persistence, kind: str) -> None:
        nobody = await self.owner_that_is(persistence, kind)
        somebody = await persistence.new_user()
        task = await persistence.new_task(somebody.id)
        async with persistence.transactions() as unit:
            with pytest.raises(UnknownOwner):
                await unit.tasks.load([task.id], and_owners=[somebody.id, nobody.id])

    async def test_the_store_serves_on_after_a_refusal(self, persistence: Persistence) -> None:
        owner = await persistence.new_user()
        for _ in range(30):  # more than any pool has connections
            with pytest.raises(UnknownOwner):
                await persistence.add_tasks(new_task(new_id()))
        task = await persistence.new_task(owner.id)
        assert await persistence.task(task.id) == task
