"""Who is told that a task became theirs: whoever did not make it so."""

from datetime import timedelta
from uuid import UUID

import pytest

from support.samples import NOW, OPERATOR, World, actor
from taskflow_core import (
    Actor,
    Batch,
    BatchAction,
    BatchFailed,
    BatchItem,
    Forbidden,
    JobKind,
    JobState,
    NewTask,
    Role,
    TaskChange,
    TaskChanges,
    TaskDeletion,
    User,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def manager(world: World) -> User:
    return world.add_user(Role.MANAGER)


def told(world: World) -> list[tuple[object, object]]:
    """Of which tasks who is to be told."""
    return [(job.subject, job.payload["user_id"]) for job in world.jobs(JobKind.TASK_ASSIGNED)]


async def test_a_task_made_for_somebody_else_is_told_of(world: World, manager: User) -> None:
    other = world.add_user()
    task = await world.use_cases.create_task(
        NewTask(title="T", user_id=other.id), actor(manager, "request-1")
    )
    (job,) = world.jobs()
    assert (job.kind, job.subject, job.payload) == (
        JobKind.TASK_ASSIGNED,
        task.id,
        {"user_id": str(other.id)},
    )
    assert (job.request_id, job.created_at, job.state) == ("request-1", NOW, JobState.PENDING)
    assert list(world.queue.hints) == [job.id]


async def test_what_one_makes_for_oneself_is_not(world: World, manager: User) -> None:
    await world.use_cases.create_task(NewTask(title="T"), actor(manager))
    await world.use_cases.create_task(NewTask(title="T", user_id=manager.id), actor(manager))
    assert world.jobs() == []
    assert list(world.queue.hints) == []


async def test_what_the_operator_makes_is(world: World) -> None:
    user = world.add_user()
    task = await world.use_cases.create_task(NewTask(title="T", user_id=user.id), OPERATOR)
    assert told(world) == [(task.id, str(user.id))]


async def test_of_one_that_is_made_quietly_nobody_is_told_before_its_next_due_date(world: World) -> None:
    user = world.add_user()
    past, coming = NOW - HOUR, NOW + HOUR
    tasks = [
        await world.use_cases.create_task(
            NewTask(title="T", user_id=user.id, due_date=due_date, notify=False), OPERATOR
        )
        for due_date in (None, past, coming)
    ]
    assert not await world.use_cases.notify_overdue()
    assert world.jobs() == []
    world.clock.forward(2 * HOUR)
    assert await world.use_cases.notify_overdue()
    assert [job.subject for job in world.jobs(JobKind.TASK_OVERDUE)] == [tasks[2].id]
    await move(world, [task.id for task in tasks], world.add_user().id, OPERATOR, batch=True)
    assert len(told(world)) == 3


@pytest.mark.parametrize("batch", [False, True])
async def test_a_task_that_moves_is_told_of_to_its_new_owner(
    world: World, manager: User, batch: bool
) -> None:
    first, second = world.add_user(), world.add_user()
    task = world.add_task(first.id)
    await move(world, [task.id], second.id, actor(manager), batch=batch)
    assert told(world) == [(task.id, str(second.id))]


@pytest.mark.parametrize("batch", [False, True])
async def test_what_one_takes_or_what_does_not_move_is_not(world: World, manager: User, batch: bool) -> None:
    first = world.add_user()
    task = world.add_task(first.id)
    await move(world, [task.id], first.id, actor(manager), batch=batch)
    changes = TaskChange(task.id, TaskChanges(title="Another"))
    await world.use_cases.change_task(changes, actor(manager))
    assert world.jobs() == []
    admin = world.add_user(Role.ADMIN)
    await move(world, [task.id], admin.id, actor(admin), batch=batch)
    assert told(world) == []


@pytest.mark.parametrize("batch", [False, True])
async def test_the_previous_owner_is_notified_by_the_title_it_knew(
    world: World, manager: User, batch: bool
) -> None:
    first, second = world.add_user(), world.add_user()
    task = world.add_task(first.id, title="Before")
    changes = TaskChanges(user_id=second.id, title="After")
    await apply(world, [task.id], changes, actor(manager, "request-1"), batch=batch)
    (job,) = world.jobs(JobKind.TASK_REASSIGNED)
    assert (job.subject, job.payload) == (task.id, {"user_id": str(first.id), "title": "Before"})
    assert job.request_id == "request-1"
    await move(world, [task.id], first.id, OPERATOR, batch=batch)
    assert [each.payload["user_id"] for each in world.jobs(JobKind.TASK_REASSIGNED)] == [
        str(first.id), str(second.id),
    ]  # fmt: skip


@pytest.mark.parametrize("batch", [False, True])
async def test_who_gives_its_own_task_away_is_not(world: World, manager: User, batch: bool) -> None:
    task = world.add_task(manager.id)
    await move(world, [task.id], world.add_user().id, actor(manager), batch=batch)
    assert world.jobs(JobKind.TASK_REASSIGNED) == []


@pytest.mark.parametrize("batch", [False, True])
async def test_a_manager_does_not_get_to_delete_another_s_task_by_moving_it(
    world: World, manager: User, batch: bool
) -> None:
    first, second = world.add_user(), world.add_user()
    task = world.add_task(first.id)
    await move(world, [task.id], second.id, actor(manager), batch=batch)
    with pytest.raises(BatchFailed if batch else Forbidden):
        await move(world, [task.id], manager.id, actor(manager), batch=batch)
    with pytest.raises(Forbidden):
        await world.use_cases.delete_task(TaskDeletion(task.id), actor(manager))


async def test_of_a_batch_those_that_moved_are_told_of(world: World, manager: User) -> None:
    first, second = world.add_user(), world.add_user()
    moved = [world.add_task(first.id) for _ in range(3)]
    there = world.add_task(second.id)
    await move(world, [task.id for task in (*moved, there)], second.id, actor(manager), batch=True)
    assert told(world) == [(task.id, str(second.id)) for task in moved]


async def test_a_batch_that_fails_tells_nobody(world: World, manager: User) -> None:
    first, second = world.add_user(), world.add_user()
    items = (BatchItem(world.add_task(first.id).id), BatchItem(world.add_task(first.id).id, version=2))
    changes = TaskChanges(user_id=second.id)
    with pytest.raises(BatchFailed):
        await world.use_cases.change_tasks(
            Batch(action=BatchAction.UPDATE, items=items, changes=changes), actor(manager)
        )
    assert world.jobs() == []
    assert list(world.queue.hints) == []


async def move(world: World, ids: list[UUID], to: UUID, who: Actor, *, batch: bool) -> None:
    await apply(world, ids, TaskChanges(user_id=to), who, batch=batch)


async def apply(world: World, ids: list[UUID], changes: TaskChanges, who: Actor, *, batch: bool) -> None:
    if not batch:
        for id in ids:
            await world.use_cases.change_task(TaskChange(id, changes), who)
        return
    items = tuple(BatchItem(id) for id in ids)
    await world.use_cases.change_tasks(Batch(action=BatchAction.UPDATE, items=items, changes=changes), who)
