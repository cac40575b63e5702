"""Batches: all or none, or as many as can be; one result for each distinct item, in the order given."""

from typing import Any
from uuid import UUID

import pytest

from support.samples import NOW, World, actor, new_id
from taskflow_core import (
    Action,
    Batch,
    BatchAction,
    BatchFailed,
    BatchItem,
    BatchResult,
    Fault,
    FieldChange,
    InvalidInput,
    InvalidTransition,
    NotFound,
    Priority,
    Role,
    Status,
    Task,
    TaskChanges,
    User,
    VersionMismatch,
)

COMPLETE, DELETE, UPDATE = BatchAction.COMPLETE, BatchAction.DELETE, BatchAction.UPDATE


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def me(world: World) -> User:
    return world.add_user()


def of(action: BatchAction, *items: Task | UUID | BatchItem, atomic: bool = True, **changes: Any) -> Batch:
    listed = tuple(
        item if isinstance(item, BatchItem) else BatchItem(item.id if isinstance(item, Task) else item)
        for item in items
    )
    return Batch(action=action, items=listed, changes=TaskChanges(**changes), atomic=atomic)


async def faults(world: World, user: User, batch: Batch) -> list[Fault]:
    with pytest.raises(InvalidInput) as caught:
        await world.use_cases.change_tasks(batch, actor(user))
    return list(caught.value.faults)


def told(results: tuple[BatchResult, ...]) -> list[tuple[UUID, type[Exception] | None]]:
    return [(result.id, type(result.error) if result.error else None) for result in results]


class TestWhatItDoes:
    async def test_it_completes(self, world: World, me: User) -> None:
        tasks = [world.add_task(me.id, status=status) for status in (Status.PENDING, Status.IN_PROGRESS)]
        done = world.add_task(me.id, status=Status.COMPLETED)
        world.clock.forward()
        results = await world.use_cases.change_tasks(of(COMPLETE, *tasks, done), actor(me, "request-1"))
        assert told(results) == [(task.id, None) for task in (*tasks, done)]
        for task in tasks:
            stored = world.store.tasks[task.id]
            assert (stored.status, stored.completed_at, stored.version) == (
                Status.COMPLETED,
                world.clock.now,
                2,
            )
            entry = world.history(task.id)[-1]
            assert entry.changes == {"status": FieldChange(task.status.value, "COMPLETED")}
            assert (entry.actor_id, entry.request_id) == (me.id, "request-1")
        assert world.store.tasks[done.id] == done

    async def test_it_deletes(self, world: World, me: User) -> None:
        tasks = [world.add_task(me.id) for _ in range(3)]
        await world.use_cases.change_tasks(of(DELETE, *tasks), actor(me))
        assert [world.store.tasks[task.id].deleted_at for task in tasks] == [NOW] * 3
        assert {world.history(task.id)[-1].action for task in tasks} == {Action.DELETED}

    async def test_it_updates(self, world: World, me: User) -> None:
        tasks = [world.add_task(me.id) for _ in range(2)]
        batch = of(UPDATE, *tasks, title=" New ", description=None, priority=Priority.HIGH)
        await world.use_cases.change_tasks(batch, actor(me))
        for task in tasks:
            stored = world.store.tasks[task.id]
            assert (stored.title, stored.priority, stored.version) == ("New", Priority.HIGH, 2)

    async def test_it_moves(self, world: World, me: User) -> None:
        manager = world.add_user(Role.MANAGER)
        tasks = [world.add_task(user.id) for user in (me, manager)]
        await world.use_cases.change_tasks(of(UPDATE, *tasks, user_id=me.id), actor(manager))
        assert [world.store.tasks[task.id].version for task in tasks] == [1, 2]
        assert {world.store.tasks[task.id].user_id for task in tasks} == {me.id}

    async def test_entries_of_history_have_ids_of_their_own(self, world: World, me: User) -> None:
        tasks = [world.add_task(me.id) for _ in range(10)]
        await world.use_cases.change_tasks(of(DELETE, *tasks), actor(me))
        assert len({entry.id for task in tasks for entry in world.history(task.id)}) == 20

    @pytest.mark.parametrize("atomic", [True, False])
    async def test_where_nothing_changes_nothing_is_kept(
        self, world: World, me: User, *, atomic: bool
    ) -> None:
        tasks = [world.add_task(me.id, title="Same") for _ in range(2)]
        before = world.store.data_version(me.id)
        results = await world.use_cases.change_tasks(
            of(UPDATE, *tasks, atomic=atomic, title="Same"), actor(me)
        )
        assert told(results) == [(task.id, None) for task in tasks]
        assert [world.store.tasks[task.id] for task in tasks] == tasks
        assert world.store.data_version(me.id) == before


class TestFailures:
    async def mixed(self, world: World, me: User) -> tuple[list[BatchItem], list[type[Exception] | None]]:
        other = world.add_user()
        cases: list[tuple[BatchItem, type[Exception] | None]] = [
            (BatchItem(world.add_task(me.id).id), None),
            (BatchItem(world.add_task(me.id, status=Status.CANCELLED).id), InvalidTransition),
            (BatchItem(new_id()), NotFound),
            (BatchItem(world.add_task(other.id).id), NotFound),
            (BatchItem(world.add_task(me.id, deleted_at=NOW).id), NotFound),
            (BatchItem(world.add_task(me.id, version=3).id, 2), VersionMismatch),
            (BatchItem(world.add_task(me.id, version=3).id, 3), None),
        ]
        return [item for item, _ in cases], [error for _, error in cases]

    async def test_as_many_as_can_be(self, world: World, me: User) -> None:
        items, errors = await self.mixed(world, me)
        results = await world.use_cases.change_tasks(of(COMPLETE, *items, atomic=False), actor(me))
        assert told(results) == [(item.id, error) for item, error in zip(items, errors, strict=True)]
        completed = {id for id, task in world.store.tasks.items() if task.status is Status.COMPLETED}
        assert completed == {item.id for item, error in zip(items, errors, strict=True) if error is None}

    async def test_all_or_none(self, world: World, me: User) -> None:
        items, errors = await self.mixed(world, me)
        before = dict(world.store.tasks)
        version = world.store.data_version(me.id)
        with pytest.raises(BatchFailed) as caught:
            await world.use_cases.change_tasks(of(COMPLETE, *items), actor(me))
        expected = [(item.id, error) for item, error in zip(items, errors, strict=True)]
        assert told(caught.value.results) == expected
        assert world.store.tasks == before
        assert {len(world.history(id)) for id in before} == {1}
        assert world.store.data_version(me.id) == version

    async def test_none_of_them_can_be(self, world: World, me: User) -> None:
        ids = [new_id(), new_id()]
        results = await world.use_cases.change_tasks(of(DELETE, *ids, atomic=False), actor(me))
        assert told(results) == [(id, NotFound) for id in ids]

    async def test_anothers_tasks_say_nothing_of_themselves(self, world: World, me: User) -> None:
        """Neither their version nor that they are deleted."""
        other = world.add_user()
        live, deleted = world.add_task(other.id), world.add_task(other.id, deleted_at=NOW)
        items = [BatchItem(live.id, 9), BatchItem(deleted.id, 9), BatchItem(new_id(), 9)]
        results = await world.use_cases.change_tasks(of(COMPLETE, *items, atomic=False), actor(me))
        assert {str(result.error) for result in results} == {str(NotFound())}


class TestItems:
    async def test_one_that_stands_twice_counts_once_at_its_first_place(self, world: World, me: User) -> None:
        first, second = world.add_task(me.id), world.add_task(me.id)
        results = await world.use_cases.change_tasks(of(DELETE, first, second, first, second), actor(me))
        assert told(results) == [(first.id, None), (second.id, None)]
        assert world.store.tasks[first.id].version == 2

    async def test_it_may_not_stand_there_with_two_versions(self, world: World, me: User) -> None:
        task = world.add_task(me.id)
        one, any_version, same = BatchItem(task.id, 1), BatchItem(task.id), BatchItem(task.id, 1)
        found = await faults(world, me, of(COMPLETE, one, any_version, same, BatchItem(task.id, 2)))
        assert [fault.path for fault in found] == [("items", 1), ("items", 3)]
        assert world.store.tasks[task.id] == task

    @pytest.mark.parametrize("count", [0, 1_001])
    async def test_none_and_more_than_a_thousand_are_refused(
        self, world: World, me: User, count: int
    ) -> None:
        found = await faults(world, me, of(COMPLETE, *(new_id() for _ in range(count)), atomic=False))
        assert [fault.path for fault in found] == [("items",)]

    async def test_the_limit_is_on_what_is_given_not_on_what_is_distinct(
        self, world: World, me: User
    ) -> None:
        task = world.add_task(me.id)
        found = await faults(world, me, of(COMPLETE, *[task] * 1_001))
        assert [fault.path for fault in found] == [("items",)]

    @pytest.mark.parametrize("count", [1, 1_000])
    async def test_one_to_a_thousand_are_done(self, world: World, me: User, count: int) -> None:
        tasks = [world.add_task(me.id) for _ in range(count)]
        results = await world.use_cases.change_tasks(of(COMPLETE, *tasks), actor(me))
        assert told(results) == [(task.id, None) for task in tasks]
        assert {task.status for task in world.store.tasks.values()} == {Status.COMPLETED}


class TestChanges:
    async def test_an_update_needs_some(self, world: World, me: User) -> None:
        found = await faults(world, me, of(UPDATE, new_id()))
        assert [fault.path for fault in found] == [("changes",)]

    @pytest.mark.parametrize("action", [COMPLETE, DELETE])
    async def test_the_other_actions_take_none(self, world: World, me: User, action: BatchAction) -> None:
        found = await faults(world, me, of(action, new_id(), title="x"))
        assert [fault.path for fault in found] == [("changes",)]

    async def test_all_faults_are_told_at_once(self, world: World, me: User) -> None:
        batch = of(UPDATE, title="", description="\0", status=Status.PENDING)
        found = await faults(world, me, batch)
        assert [fault.path for fault in found] == [
            ("changes", "title"),
            ("changes", "description"),
            ("items",),
        ]

    async def test_a_fault_is_the_batchs_even_where_only_some_could_be_done(
        self, world: World, me: User
    ) -> None:
        task = world.add_task(me.id)
        found = await faults(world, me, of(UPDATE, task, atomic=False, title=""))
        assert [fault.path for fault in found] == [("changes", "title")]
