"""Requests that arrive more than once are done once, whatever changed in between."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.samples import NOW, PASSWORD, World, actor, new_id
from taskflow_core import (
    Actor,
    Batch,
    BatchAction,
    BatchFailed,
    BatchItem,
    DeadJobs,
    Forbidden,
    KeyReused,
    NewTask,
    NewUser,
    NotFound,
    Once,
    Replayed,
    Role,
    TaskRestoration,
    User,
)
from taskflow_core.idempotency import KEPT_FOR


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def admin(world: World) -> User:
    return world.add_user(Role.ADMIN)


def once(user: User, key: str = "key", fingerprint: bytes = b"print") -> Actor:
    """Somebody who asks by an idempotency key; the answer is how Python shows the result."""
    return replace(actor(user), once=Once(user.id, key, fingerprint, lambda result: repr(result).encode()))


async def create_task(world: World, who: Actor) -> object:
    return await world.use_cases.create_task(NewTask(title="T"), who)


async def create_user(world: World, who: Actor) -> object:
    return await world.use_cases.create_user(NewUser(email="n@x", name="N", password=PASSWORD), who)


async def restore_task(world: World, who: Actor) -> object:
    return await world.use_cases.restore_task(TaskRestoration(next(iter(world.store.tasks))), who)


async def complete_tasks(world: World, who: Actor) -> object:
    items = tuple(BatchItem(id, version=1) for id in world.store.tasks)
    return await world.use_cases.change_tasks(Batch(action=BatchAction.COMPLETE, items=items), who)


async def delete_tasks(world: World, who: Actor) -> object:
    items = tuple(BatchItem(id, version=1) for id in world.store.tasks)
    return await world.use_cases.change_tasks(Batch(action=BatchAction.DELETE, items=items), who)


async def retry_job(world: World, who: Actor) -> object:
    return await world.use_cases.retry_job(next(iter(world.store.ledger)), who)


async def retry_jobs(world: World, who: Actor) -> object:
    return await world.use_cases.retry_jobs(DeadJobs("kind"), who)


USES: dict[str, Callable[[World, Actor], Awaitable[object]]] = {
    use.__name__: use
    for use in (create_task, create_user, restore_task, complete_tasks, delete_tasks, retry_job, retry_jobs)
}


def prepare(world: World, admin: User, name: str) -> None:
    """What the use case works on."""
    if name == "restore_task":
        world.add_task(admin.id, deleted_at=NOW)
    if name in ("complete_tasks", "delete_tasks"):
        world.add_task(admin.id)
        world.add_task(admin.id)
    if name.startswith("retry"):
        job = world.add_job()
        job.claim(NOW)
        job.fail("It broke.", NOW, 0, final=True)


def stored(world: World) -> tuple[Any, ...]:
    return tuple(dict(kept) for kept in (world.store.users, world.store.tasks, world.store.ledger))


@pytest.mark.parametrize("name", USES)
async def test_the_same_request_is_answered_the_same_and_does_nothing(
    world: World, admin: User, name: str
) -> None:
    prepare(world, admin, name)
    result = await USES[name](world, once(admin))
    after = stored(world)
    with pytest.raises(Replayed) as caught:
        await USES[name](world, once(admin))
    assert caught.value.answer == repr(result).encode()
    assert stored(world) == after


@pytest.mark.parametrize("name", USES)
async def test_another_with_the_same_key_is_refused(world: World, admin: User, name: str) -> None:
    prepare(world, admin, name)
    await USES[name](world, once(admin))
    after = stored(world)
    with pytest.raises(KeyReused):
        await USES[name](world, once(admin, fingerprint=b"another"))
    assert stored(world) == after


@pytest.mark.parametrize("name", ["create_task", "retry_jobs"])
async def test_without_a_key_it_is_done_again(world: World, admin: User, name: str) -> None:
    prepare(world, admin, name)
    await USES[name](world, actor(admin))
    await USES[name](world, actor(admin))
    assert world.store.keys == {}


async def test_who_may_not_do_it_is_told_so_and_not_the_answer(world: World, admin: User) -> None:
    await create_user(world, once(admin))
    demoted = replace(once(admin), permissions=frozenset())
    with pytest.raises(Forbidden):
        await create_user(world, demoted)


async def test_what_failed_is_not_kept(world: World, admin: User) -> None:
    missing = Batch(action=BatchAction.DELETE, items=(BatchItem(new_id()),))
    for _ in range(2):
        with pytest.raises(BatchFailed):
            await world.use_cases.change_tasks(missing, once(admin))
    with pytest.raises(NotFound):
        await world.use_cases.restore_task(TaskRestoration(new_id()), once(admin, fingerprint=b"another"))
    assert world.store.keys == {}


async def test_a_restoration_that_changes_nothing_is_kept_too(world: World, admin: User) -> None:
    world.add_task(admin.id)
    view = await restore_task(world, once(admin))
    with pytest.raises(Replayed) as caught:
        await restore_task(world, once(admin))
    assert caught.value.answer == repr(view).encode()


async def test_what_was_restored_is_answered_the_same_where_it_could_not_be_again(
    world: World, admin: User
) -> None:
    task = world.add_task(admin.id, deleted_at=NOW)
    view = await restore_task(world, once(admin))
    world.store.tasks[task.id].deleted_at = NOW - timedelta(days=40)
    with pytest.raises(Replayed) as caught:
        await restore_task(world, once(admin))
    assert caught.value.answer == repr(view).encode()


async def test_after_a_day_the_key_is_a_new_one(world: World, admin: User) -> None:
    await create_task(world, once(admin))
    world.clock.forward(KEPT_FOR + timedelta(microseconds=1))
    await create_task(world, once(admin, fingerprint=b"another"))
    assert len(world.store.tasks) == 2


def test_nothing_of_it_is_shown() -> None:
    shown = repr(Once(new_id(), "key", b"secret print", lambda _: b""))
    assert "secret print" not in shown
    assert "'key'" in shown


def test_that_it_was_done_is_no_failure_of_ours() -> None:
    assert str(Replayed(b"answer")) == "done before"
