"""What happens at the same time: units of work serialise where they touch, and none is lost or stuck."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, OPERATOR, SettableClock, entry_of, new_id, new_task, new_user
from taskflow_core import (
    Actor,
    Batch,
    BatchAction,
    BatchFailed,
    BatchItem,
    ChangeTask,
    ChangeTasks,
    ChangeUser,
    Contention,
    DeleteTask,
    DeleteUser,
    EmailTaken,
    EndSession,
    LastAdmin,
    NotFound,
    Origin,
    RestoreTask,
    Role,
    Status,
    TaskChange,
    TaskChanges,
    TaskDeletion,
    TaskFlowError,
    TaskQuery,
    TaskRestoration,
    UnknownOwner,
    UserChange,
    UserChanges,
    UserDeletion,
    UserQuery,
)
from taskflow_system import Uuid7

clock = SettableClock(NOW + timedelta(hours=1))


async def outcomes(*work: Awaitable[object]) -> list[type[BaseException] | None]:
    """How each ended, all of them begun together."""
    done = await asyncio.gather(*work, return_exceptions=True)
    return [type(result) if isinstance(result, BaseException) else None for result in done]


async def retitle(persistence: Persistence, ids: list[UUID], title: str) -> None:
    async with persistence.transactions() as unit:
        loaded = await unit.tasks.load(ids)
        await asyncio.sleep(0)
        for task in loaded.values():
            changes = TaskChanges(title=title)
            entry = task.change(changes, entry_id=new_id(), actor=OPERATOR, now=clock())
            assert entry is not None
            unit.tasks.save(task, entry)
            await asyncio.sleep(0)
        await unit.commit()


async def test_units_on_one_task_come_one_after_the_other(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = await persistence.new_task(owner.id)
    ended = await outcomes(*(retitle(persistence, [task.id], f"title {n}") for n in range(24)))
    assert set(ended) == {None}
    stored = await persistence.task(task.id)
    assert stored is not None
    assert stored.version == 25
    history = await persistence.history(task.id)
    assert [entry.version for entry in history] == list(range(25, 0, -1))
    # Each began with what the one before had left.
    titles = [entry.changes["title"] for entry in history[:-1]]
    assert [change.before for change in titles[:-1]] == [change.after for change in titles[1:]]
    assert {change.after for change in titles} == {f"title {n}" for n in range(24)}


async def test_batches_in_opposite_order_do_not_deadlock(persistence: Persistence) -> None:
    owners = [await persistence.new_user() for _ in range(3)]
    tasks = [new_task(owners[n % 3].id) for n in range(12)]
    await persistence.add_tasks(*tasks)
    ids = [task.id for task in tasks]
    orders = [ids, ids[::-1], ids[6:] + ids[:6], ids[::2] + ids[1::2][::-1]]
    ended = await outcomes(*(retitle(persistence, orders[n % 4], f"{n}") for n in range(24)))
    assert set(ended) == {None}
    assert {len(await persistence.history(id)) for id in ids} == {25}


async def test_tasks_that_move_to_and_fro_are_never_lost(persistence: Persistence) -> None:
    owners = [await persistence.new_user() for _ in range(3)]
    tasks = [new_task(owner.id) for owner in owners for _ in range(3)]
    await persistence.add_tasks(*tasks)
    move = ChangeTasks(persistence.transactions, clock, Uuid7())

    async def move_all_to(owner: UUID, order: int) -> None:
        items = tuple(BatchItem(task.id) for task in tasks[::order])
        batch = Batch(action=BatchAction.UPDATE, items=items, changes=TaskChanges(user_id=owner))
        while True:
            try:
                await move(batch, OPERATOR)
            except Contention:  # taken back whole: the same again
                continue
            return

    work = (move_all_to(owners[n % 3].id, 1 if n % 2 else -1) for n in range(18))
    assert set(await outcomes(*work)) == {None}
    stored = [await persistence.task(task.id) for task in tasks]
    assert len({task.user_id for task in stored if task}) == 1
    for task in stored:
        assert task is not None
        assert len(await persistence.history(task.id)) == task.version


async def test_of_those_who_want_one_email_one_gets_it(persistence: Persistence) -> None:
    people = [new_user(email="wanted@example.com") for _ in range(16)]
    ended = await outcomes(*(persistence.add_users(person) for person in people))
    assert sorted(ended, key=str) == sorted([None, *[EmailTaken] * 15], key=str)
    found = await persistence.user_reads.credentials("wanted@example.com", Origin())
    assert found is not None
    assert found.user.id == people[ended.index(None)].id


def demote(persistence: Persistence, user_id: UUID) -> Awaitable[object]:
    change = ChangeUser(persistence.transactions, clock, Uuid7())
    return change(UserChange(user_id, UserChanges(role=Role.MANAGER)), OPERATOR)


def deactivate(persistence: Persistence, user_id: UUID) -> Awaitable[object]:
    change = ChangeUser(persistence.transactions, clock, Uuid7())
    return change(UserChange(user_id, UserChanges(active=False)), OPERATOR)


def delete(persistence: Persistence, user_id: UUID) -> Awaitable[object]:
    return DeleteUser(persistence.transactions, clock, Uuid7())(UserDeletion(user_id), OPERATOR)


@pytest.mark.parametrize("ways", [(demote,), (demote, deactivate, delete)], ids=["demoted", "in every way"])
async def test_of_32_admins_who_all_go_at_once_one_stays(
    persistence: Persistence, ways: tuple[Callable[[Persistence, UUID], Awaitable[object]], ...]
) -> None:
    admins = [new_user(role=Role.ADMIN) for _ in range(32)]
    await persistence.add_users(*admins)
    work = (ways[n % len(ways)](persistence, admin.id) for n, admin in enumerate(admins))
    ended = await outcomes(*work)
    assert sorted(ended, key=str) == sorted([LastAdmin, *[None] * 31], key=str)
    left = await persistence.user_reads.users(UserQuery(role=Role.ADMIN, active=True), NOW)
    assert [user.id for user in left.items] == [admins[ended.index(LastAdmin)].id]


async def test_an_account_that_goes_while_it_is_worked_with_leaves_nothing(persistence: Persistence) -> None:
    owner, heir = await persistence.new_user(), await persistence.new_user()
    tasks = [new_task(owner.id) for _ in range(20)]
    await persistence.add_tasks(*tasks)
    work: list[Awaitable[object]] = []
    toggle = ChangeTasks(persistence.transactions, clock, Uuid7())
    for n in range(12):
        status = Status.IN_PROGRESS if n % 2 else Status.PENDING
        items = tuple(BatchItem(task.id) for task in tasks[:: 1 if n % 3 else -1])
        batch = Batch(
            action=BatchAction.UPDATE, items=items, changes=TaskChanges(status=status), atomic=False
        )
        work += [toggle(batch, OPERATOR), persistence.add_tasks(new_task(owner.id), new_task(heir.id))]
        if n == 6:
            work.append(delete(persistence, owner.id))
        if n > 6:
            work.append(persistence.purge(limit=5))
    ended = await outcomes(*work)
    assert set(ended) <= {None, UnknownOwner, Contention}
    await persistence.purge_all()
    for deleted in (False, True):
        query = TaskQuery(owner=owner.id, deleted=deleted)
        assert (await persistence.task_reads.tasks(query, NOW)).items == ()
    assert await persistence.user_reads.user(owner.id) is None


async def test_purges_at_once_remove_each_row_once(persistence: Persistence) -> None:
    people = [new_user() for _ in range(4)]
    await persistence.add_users(*people)
    await persistence.add_tasks(*(new_task(person.id) for person in people for _ in range(10)))
    for person in people:
        await persistence.mark_deleted(person.id)
    removed = 0
    while step := sum(await asyncio.gather(*(persistence.purge(limit=3) for _ in range(6)))):
        removed += step
    assert removed == 40 + 4
    assert (await persistence.task_reads.stats(None, NOW)).total == 0


async def test_a_purge_waits_for_nobody(concurrent_persistence: Persistence) -> None:
    persistence = concurrent_persistence
    gone = await persistence.new_user()
    held, free = new_task(gone.id), new_task(gone.id)
    await persistence.add_tasks(held, free)
    await persistence.mark_deleted(gone.id)
    async with persistence.transactions() as unit:
        await unit.tasks.load([held.id])
        while_held = await persistence.purge_all()
    assert while_held <= 1
    assert while_held + await persistence.purge_all() == 2 + 1


async def test_a_stranger_is_refused_without_waiting_for_the_owners_locks(
    concurrent_persistence: Persistence,
) -> None:
    persistence, ids = concurrent_persistence, Uuid7()
    owner, stranger = await persistence.new_user(), await persistence.new_user()
    task, session = await persistence.new_task(owner.id), await persistence.open_session(owner.id)
    actor, transactions = Actor.of(stranger.id, Role.USER), persistence.transactions
    title = TaskChanges(title="mine")
    batches = (
        Batch(action=BatchAction.UPDATE, items=(BatchItem(task.id),), changes=title),
        Batch(action=BatchAction.COMPLETE, items=(BatchItem(task.id, 1),)),
        Batch(action=BatchAction.DELETE, items=(BatchItem(task.id),)),
    )
    async with transactions() as unit, asyncio.timeout(10):
        await unit.tasks.load([task.id])
        await unit.sessions.load(session.id)
        refused = await outcomes(
            ChangeTask(transactions, clock, ids)(TaskChange(task.id, title), actor),
            ChangeTask(transactions, clock, ids)(
                TaskChange(task.id, TaskChanges(user_id=stranger.id)), actor
            ),
            DeleteTask(transactions, clock, ids)(TaskDeletion(task.id), actor),
            RestoreTask(transactions, clock, ids)(TaskRestoration(task.id), actor),
            EndSession(transactions)(session.id, actor),
            *(ChangeTasks(transactions, clock, ids)(batch, actor) for batch in batches),
        )
    assert refused == [*[NotFound] * 5, *[BatchFailed] * 3]


async def test_reads_see_only_what_is_committed(concurrent_persistence: Persistence) -> None:
    persistence = concurrent_persistence
    owner = await persistence.new_user()
    task = await persistence.new_task(owner.id)
    async with persistence.transactions() as unit:
        loaded = (await unit.tasks.load([task.id]))[task.id]
        unit.tasks.save(loaded, loaded.delete(entry_id=new_id(), actor=OPERATOR, now=clock()))
        assert await persistence.task_reads.task(task.id, owner=None) is not None
        await unit.commit()
        assert await persistence.task_reads.task(task.id, owner=None) is None


async def test_a_cancelled_unit_is_taken_back_and_holds_nothing(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = await persistence.new_task(owner.id)
    loaded = asyncio.Event()

    async def stall() -> None:
        async with persistence.transactions() as unit:
            mine = (await unit.tasks.load([task.id]))[task.id]
            unit.tasks.save(mine, mine.delete(entry_id=new_id(), actor=OPERATOR, now=clock()))
            loaded.set()
            await asyncio.Event().wait()

    for _ in range(12):  # more than any pool has connections
        loaded.clear()
        stalled = asyncio.create_task(stall())
        await loaded.wait()
        stalled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stalled
    await retitle(persistence, [task.id], "after all")
    stored = await persistence.task(task.id)
    assert stored is not None
    assert (stored.title, stored.deleted_at, stored.version) == ("after all", None, 2)


async def test_one_failure_spoils_nothing_for_the_others(persistence: Persistence) -> None:
    owner = await persistence.new_user()

    async def add(n: int) -> None:
        task = new_task(owner.id if n % 2 else new_id())
        async with persistence.transactions() as unit:
            unit.tasks.add(task, entry_of(task))
            await unit.commit()

    ended = await outcomes(*(add(n) for n in range(40)))
    assert ended == [None if n % 2 else UnknownOwner for n in range(40)]
    assert issubclass(UnknownOwner, TaskFlowError)
    assert (await persistence.task_reads.stats(owner.id, NOW)).total == 20
