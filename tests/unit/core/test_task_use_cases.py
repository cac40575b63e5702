"""What the use cases on one task do beyond asking whether one may: `test_access.py` has that."""

from datetime import timedelta
from typing import Any

import pytest

from support.samples import NOW, OPERATOR, World, actor, new_id
from taskflow_core import (
    Action,
    Actor,
    FieldChange,
    HistoryQuery,
    InvalidInput,
    InvalidTransition,
    NewTask,
    NotFound,
    Position,
    Priority,
    Role,
    Status,
    Task,
    TaskChange,
    TaskChanges,
    TaskDeletion,
    TaskQuery,
    TaskRestoration,
    TaskSort,
    TaskView,
    Unauthenticated,
    UnknownOwner,
    User,
    UserQuery,
    VersionMismatch,
)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def me(world: World) -> User:
    return world.add_user()


class TestCreate:
    async def test_the_task_is_ones_own_unless_told_otherwise(self, world: World, me: User) -> None:
        task = await world.use_cases.create_task(NewTask(title=" A task "), actor(me, "request-1"))
        stored = world.store.tasks[task.id]
        assert task == TaskView.of(stored)
        assert (task.user_id, task.title, task.version, task.created_at) == (me.id, "A task", 1, NOW)
        assert task.id.int >> 80 == round(NOW.timestamp() * 1000)
        (entry,) = world.history(task.id)
        assert (entry.version, entry.action, entry.actor_id, entry.request_id) == (
            1,
            Action.CREATED,
            me.id,
            "request-1",
        )
        assert entry.id != task.id

    async def test_every_field_is_taken(self, world: World) -> None:
        manager, other = world.add_user(Role.MANAGER), world.add_user()
        command = NewTask(
            title="T",
            description="D",
            status=Status.IN_PROGRESS,
            priority=Priority.HIGH,
            due_date=NOW,
            user_id=other.id,
        )
        task = await world.use_cases.create_task(command, actor(manager))
        for name in set(NewTask.__slots__) - {"notify"}:
            assert getattr(task, name) == getattr(command, name), name
        assert [entry.actor_id for entry in world.history(task.id)] == [manager.id]

    async def test_the_operator_must_say_for_whom(self, world: World, me: User) -> None:
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.create_task(NewTask(title="T"), OPERATOR)
        assert [fault.path for fault in caught.value.faults] == [("user_id",)]
        task = await world.use_cases.create_task(NewTask(title="T", user_id=me.id), OPERATOR)
        assert [entry.actor_id for entry in world.history(task.id)] == [None]

    async def test_faults_are_told_and_nothing_is_kept(self, world: World, me: User) -> None:
        with pytest.raises(InvalidInput):
            await world.use_cases.create_task(NewTask(title=""), actor(me))
        assert world.store.tasks == {}
        assert world.store.data_version(me.id) == 0

    @pytest.mark.parametrize("given", [True, False])
    async def test_who_is_gone_is_not_known_any_more(self, world: World, *, given: bool) -> None:
        ghost = Actor.of(new_id(), Role.ADMIN)
        with pytest.raises(Unauthenticated):
            await world.use_cases.create_task(NewTask(title="T", user_id=ghost.id if given else None), ghost)

    async def test_for_somebody_who_is_gone_the_owner_is_at_fault(self, world: World) -> None:
        admin, gone = world.add_user(Role.ADMIN), world.add_user(deleted_at=NOW, active=False)
        with pytest.raises(UnknownOwner):
            await world.use_cases.create_task(NewTask(title="T", user_id=gone.id), actor(admin))


class TestChange:
    async def test_it_returns_the_task_as_it_is_stored(self, world: World, me: User) -> None:
        task = world.add_task(me.id)
        world.clock.forward()
        changes = TaskChanges(title="B", status=Status.COMPLETED, due_date=NOW)
        view = await world.use_cases.change_task(
            TaskChange(task.id, changes, version=1), actor(me, "request-2")
        )
        assert view == TaskView.of(world.store.tasks[task.id])
        assert (view.title, view.version) == ("B", 2)
        assert view.completed_at == view.updated_at == world.clock.now
        entry = world.history(task.id)[-1]
        assert (entry.version, entry.actor_id, entry.request_id) == (2, me.id, "request-2")
        assert entry.changes["status"] == FieldChange("PENDING", "COMPLETED")

    async def test_a_change_that_changes_nothing_is_not_kept(self, world: World, me: User) -> None:
        task = world.add_task(me.id)
        before = world.store.data_version(me.id)
        world.clock.forward()
        command = TaskChange(task.id, TaskChanges(title=task.title, user_id=me.id))
        assert await world.use_cases.change_task(command, actor(me)) == TaskView.of(task)
        assert len(world.history(task.id)) == 1
        assert world.store.data_version(me.id) == before

    @pytest.mark.parametrize(
        ("changes", "version", "error"),
        [
            ({"title": ""}, None, InvalidInput),
            ({"status": Status.CANCELLED}, None, InvalidTransition),
            ({"title": "B"}, 2, VersionMismatch),
            ({"title": "B"}, 0, VersionMismatch),
            ({}, 2, VersionMismatch),
        ],
    )
    async def test_what_is_refused_changes_nothing(
        self, world: World, me: User, changes: dict[str, Any], version: int | None, error: type[Exception]
    ) -> None:
        task = world.add_task(me.id, status=Status.COMPLETED)
        with pytest.raises(error):
            await world.use_cases.change_task(TaskChange(task.id, TaskChanges(**changes), version), actor(me))
        assert world.store.tasks[task.id] == task
        assert len(world.history(task.id)) == 1

    async def test_that_it_is_not_there_comes_before_its_version(self, world: World, me: User) -> None:
        other = world.add_user()
        for task in (world.add_task(me.id, deleted_at=NOW), world.add_task(other.id)):
            with pytest.raises(NotFound):
                await world.use_cases.change_task(TaskChange(task.id, TaskChanges(), version=9), actor(me))

    async def test_a_task_goes_to_somebody_else(self, world: World) -> None:
        manager, other = world.add_user(Role.MANAGER), world.add_user()
        task = world.add_task(manager.id)
        view = await world.use_cases.change_task(
            TaskChange(task.id, TaskChanges(user_id=other.id)), actor(manager)
        )
        assert view.user_id == other.id
        assert world.history(task.id)[-1].changes == {"user_id": FieldChange(str(manager.id), str(other.id))}


class TestDeleteAndRestore:
    async def test_there_and_back_again(self, world: World, me: User) -> None:
        task = world.add_task(me.id)
        world.clock.forward()
        await world.use_cases.delete_task(TaskDeletion(task.id, version=1), actor(me))
        assert world.store.tasks[task.id].deleted_at == world.clock.now
        deleted = await world.use_cases.list_tasks(TaskQuery(owner=me.id, deleted=True), actor(me))
        assert [found.id for found in deleted.items] == [task.id]
        world.clock.forward()
        view = await world.use_cases.restore_task(TaskRestoration(task.id), actor(me))
        assert view == TaskView.of(world.store.tasks[task.id])
        assert (view.version, view.updated_at) == (3, world.clock.now)
        actions = [entry.action for entry in world.history(task.id)]
        assert actions == [Action.CREATED, Action.DELETED, Action.RESTORED]

    async def test_a_deletion_minds_the_version(self, world: World, me: User) -> None:
        task = world.add_task(me.id)
        with pytest.raises(VersionMismatch):
            await world.use_cases.delete_task(TaskDeletion(task.id, version=2), actor(me))
        assert world.store.tasks[task.id] == task

    async def test_what_is_not_deleted_is_returned_as_it_is(self, world: World, me: User) -> None:
        task = world.add_task(me.id)
        before = world.store.data_version(me.id)
        assert await world.use_cases.restore_task(TaskRestoration(task.id), actor(me)) == TaskView.of(task)
        assert len(world.history(task.id)) == 1
        assert world.store.data_version(me.id) == before

    async def test_what_was_deleted_too_long_ago_is_gone(self, world: World, me: User) -> None:
        task = world.add_task(me.id, deleted_at=NOW)
        world.clock.forward(timedelta(days=30, milliseconds=1))
        with pytest.raises(NotFound):
            await world.use_cases.restore_task(TaskRestoration(task.id), actor(me))


class TestQuestions:
    async def test_one_finds_ones_own(self, world: World, me: User) -> None:
        task = world.add_task(me.id)
        assert await world.use_cases.find_task(task.id, actor(me)) == TaskView.of(task)

    async def test_a_list_is_of_whom_it_was_asked_for(self, world: World) -> None:
        manager, other = world.add_user(Role.MANAGER), world.add_user()
        tasks = [world.add_task(user.id) for user in (manager, other)]
        for owner, expected in ((manager.id, tasks[:1]), (other.id, tasks[1:]), (None, tasks[::-1])):
            page = await world.use_cases.list_tasks(TaskQuery(owner=owner), actor(manager))
            assert [task.id for task in page.items] == [task.id for task in expected]

    async def test_overdue_is_by_the_clock(self, world: World, me: User) -> None:
        world.add_task(me.id, due_date=NOW)
        counted = []
        for _ in range(2):
            stats = await world.use_cases.count_tasks(me.id, actor(me))
            page = await world.use_cases.list_tasks(TaskQuery(owner=me.id, overdue=True), actor(me))
            counted.append((stats.overdue, len(page.items), stats.as_of))
            world.clock.forward()
        assert counted == [(0, 0, NOW), (1, 1, NOW + timedelta(seconds=1))]

    async def test_history_is_newest_first(self, world: World, me: User) -> None:
        task = world.add_task(me.id)
        await world.use_cases.change_task(TaskChange(task.id, TaskChanges(title="B")), actor(me))
        page = await world.use_cases.read_history(HistoryQuery(task_id=task.id), actor(me))
        assert [entry.version for entry in page.items] == [2, 1]

    async def test_bad_questions_are_refused(self, world: World, me: User) -> None:
        use_cases, asking = world.use_cases, actor(world.add_user(Role.ADMIN))
        position = Position("x", new_id(), NOW)
        for query in (
            TaskQuery(owner=me.id, limit=101),
            TaskQuery(owner=me.id, search=""),
            TaskQuery(owner=me.id, sort=TaskSort.PRIORITY, after=position),
        ):
            with pytest.raises(InvalidInput):
                await use_cases.list_tasks(query, asking)
        for asked in (UserQuery(limit=0), UserQuery(search="\0"), UserQuery(after=position)):
            with pytest.raises(InvalidInput):
                await use_cases.list_users(asked, asking)
        with pytest.raises(InvalidInput):
            await use_cases.read_history(HistoryQuery(task_id=new_id(), limit=0), asking)


def test_a_task_has_the_fields_that_a_view_has() -> None:
    assert set(TaskView.__slots__) == set(Task.__slots__) - {"deleted_at"}
