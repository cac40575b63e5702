"""Pages: every row whose key does not change is seen exactly once, whatever happens meanwhile."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, OPERATOR, entry_of, new_id, new_task, new_user
from taskflow_core import (
    Position,
    Priority,
    Role,
    Status,
    Task,
    TaskChanges,
    TaskQuery,
    TaskSort,
    User,
    UserQuery,
    UserSort,
)

HOUR = timedelta(hours=1)
Key = datetime | int | str | None

TASK_KEYS: dict[TaskSort, Callable[[Task], Key]] = {
    TaskSort.CREATED_AT: lambda _: None,
    TaskSort.DUE_DATE: lambda task: task.due_date,
    TaskSort.PRIORITY: lambda task: [Priority.LOW, Priority.MEDIUM, Priority.HIGH].index(task.priority),
    TaskSort.UPDATED_AT: lambda task: task.updated_at,
}
SELECTIONS: dict[str, tuple[dict[str, Any], Callable[[Task], bool]]] = {
    "live": ({}, lambda t: t.deleted_at is None),
    "deleted": ({"deleted": True}, lambda t: t.deleted_at is not None),
    "pending": (
        {"status": Status.PENDING},
        lambda t: t.deleted_at is None and t.status is Status.PENDING,
    ),
    "overdue": ({"overdue": True}, lambda t: t.deleted_at is None and t.is_overdue(NOW)),
    "not overdue": ({"overdue": False}, lambda t: t.deleted_at is None and not t.is_overdue(NOW)),
    "with a due date": (
        {"due_from": NOW - 100 * HOUR},
        lambda t: t.deleted_at is None and t.due_date is not None,
    ),
    "of two statuses": (
        {"status": [Status.CANCELLED, Status.PENDING], "priority": [Priority.LOW, Priority.HIGH]},
        lambda t: t.deleted_at is None and t.status is Status.PENDING and t.priority is not Priority.MEDIUM,
    ),
    "searched": ({"search": "ODD"}, lambda t: t.deleted_at is None and t.title == "odd"),
}


def many_tasks(owner: UUID) -> list[Task]:
    """Every combination of few keys, so that each key has ties; the ids' order is unlike that of the keys."""
    due_dates = [None, NOW - HOUR, NOW + HOUR]
    updates = [NOW + HOUR, NOW]
    statuses = [Status.COMPLETED, Status.PENDING]
    deletions = [None, None, NOW]
    made = itertools.product(due_dates, updates, statuses, deletions, Priority)
    return [
        new_task(
            owner,
            title="odd" if n % 2 else "even",
            due_date=due,
            updated_at=updated,
            status=status,
            deleted_at=deleted,
            priority=priority,
        )
        for n, (due, updated, status, deleted, priority) in enumerate(made)
    ]


def in_order(tasks: list[Task], key: Callable[[Task], Key], *, descending: bool) -> list[UUID]:
    """The order as the port tells it, put together in another way than any adapter does."""
    by_id = sorted(tasks, key=lambda task: task.id, reverse=descending)
    keyed: list[tuple[Any, Task]] = [(key(task), task) for task in by_id]
    with_key = [pair for pair in keyed if pair[0] is not None]
    # A stable sort keeps ties in the order of ids, in reverse too.
    with_key.sort(key=lambda pair: pair[0], reverse=descending)
    return [task.id for _, task in with_key] + [task.id for k, task in keyed if k is None]


async def ids_of_pages(persistence: Persistence, query: TaskQuery) -> list[list[UUID]]:
    return [[task.id for task in page.items] async for page in persistence.pages(query)]


@pytest.mark.parametrize("sort", TaskSort)
async def test_every_task_is_on_one_page_in_order(persistence: Persistence, sort: TaskSort) -> None:
    owner, other = await persistence.new_user(), await persistence.new_user()
    mine, theirs = many_tasks(owner.id), many_tasks(other.id)
    await persistence.add_tasks(*(task for pair in zip(mine, theirs, strict=True) for task in pair))
    for (name, (asked, matches)), descending in itertools.product(SELECTIONS.items(), (False, True)):
        for whose, among, limit in ((owner.id, mine, 4), (None, mine + theirs, 7), (owner.id, mine, 100)):
            query = TaskQuery(owner=whose, sort=sort, descending=descending, limit=limit, **asked)
            pages = await ids_of_pages(persistence, query)
            expected = in_order([t for t in among if matches(t)], TASK_KEYS[sort], descending=descending)
            assert [id for page in pages for id in page] == expected, (name, descending, limit)
            assert all(len(page) == limit for page in pages[:-1]), (name, descending, limit)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8])
async def test_the_last_page_says_that_it_is(persistence: Persistence, count: int) -> None:
    owner = await persistence.new_user()
    await persistence.add_tasks(*(new_task(owner.id) for _ in range(count)))
    pages = await ids_of_pages(persistence, TaskQuery(owner=owner.id, limit=4))
    assert len(pages) == max(1, -(-count // 4))
    assert sum(map(len, pages)) == count


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", TaskSort)
async def test_what_happens_between_pages_hides_and_doubles_nothing(
    persistence: Persistence, sort: TaskSort, *, descending: bool
) -> None:
    owner = await persistence.new_user()
    tasks = many_tasks(owner.id)
    await persistence.add_tasks(*tasks)
    expected = {task.id for task in tasks if task.deleted_at is None}
    seen: list[UUID] = []
    gone: set[UUID] = set()
    query = TaskQuery(owner=owner.id, sort=sort, descending=descending, limit=5)
    async for page in persistence.pages(query):
        seen += [task.id for task in page.items]
        if len(gone) < 5:
            await persistence.add_tasks(*many_tasks(owner.id)[::9])
        # The row where the page ends goes, too: a position is no row.
        await delete(persistence, page.items[-1].id)
        gone.add(page.items[-1].id)
    assert len(seen) == len(set(seen))
    assert expected <= set(seen)
    assert gone <= set(seen)


async def delete(persistence: Persistence, task_id: UUID) -> None:
    async with persistence.transactions() as unit:
        task = (await unit.tasks.load([task_id]))[task_id]
        unit.tasks.save(task, task.delete(entry_id=new_id(), actor=OPERATOR, now=NOW))
        await unit.commit()


async def test_new_rows_are_not_seen_in_the_default_order(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    tasks = [new_task(owner.id) for _ in range(12)]
    await persistence.add_tasks(*tasks)
    seen: list[UUID] = []
    async for page in persistence.pages(TaskQuery(owner=owner.id, limit=5)):
        seen += [task.id for task in page.items]
        await persistence.new_task(owner.id)
    assert seen == [task.id for task in reversed(tasks)]


async def test_overdue_means_the_same_on_all_pages(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    late = [new_task(owner.id, due_date=NOW - HOUR) for _ in range(6)]
    soon = [new_task(owner.id, due_date=NOW + HOUR) for _ in range(6)]
    await persistence.add_tasks(*(task for pair in zip(late, soon, strict=True) for task in pair))
    for overdue, expected in ((True, late), (False, soon)):
        query = TaskQuery(owner=owner.id, overdue=overdue, limit=4)
        first = await persistence.task_reads.tasks(query, NOW)
        assert first.next is not None
        assert first.next.as_of == NOW
        later = replace(query, after=first.next, limit=1)
        second = await persistence.task_reads.tasks(later, NOW + 2 * HOUR)
        assert second.next is not None
        assert second.next.as_of == NOW
        third = await persistence.task_reads.tasks(replace(query, after=second.next), NOW + 3 * HOUR)
        found = [task.id for page in (first, second, third) for task in page.items]
        assert found == [task.id for task in reversed(expected)]


async def test_a_position_holds_the_key_and_the_id_of_the_last_row(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = await persistence.new_task(owner.id, due_date=NOW - HOUR, updated_at=NOW, priority=Priority.HIGH)
    await persistence.new_task(owner.id, due_date=NOW, updated_at=NOW - HOUR, priority=Priority.HIGH)
    keys: dict[tuple[TaskSort, bool], Key] = {
        (TaskSort.DUE_DATE, False): NOW - HOUR,
        (TaskSort.UPDATED_AT, True): NOW,
        (TaskSort.PRIORITY, False): 2,
        (TaskSort.CREATED_AT, False): None,
    }
    for (sort, descending), key in keys.items():
        query = TaskQuery(owner=owner.id, sort=sort, descending=descending, limit=1)
        page = await persistence.task_reads.tasks(query, NOW)
        assert page.next == Position(key, task.id, NOW)


async def test_a_task_that_moves_forward_in_the_order_may_be_seen_again_but_the_others_once(
    persistence: Persistence,
) -> None:
    owner = await persistence.new_user()
    tasks = [new_task(owner.id, updated_at=NOW + n * HOUR) for n in range(9)]
    await persistence.add_tasks(*tasks)
    seen: list[UUID] = []
    query = TaskQuery(owner=owner.id, sort=TaskSort.UPDATED_AT, descending=False, limit=4)
    moved = tasks[1]
    async for page in persistence.pages(query):
        seen += [task.id for task in page.items]
        async with persistence.transactions() as unit:
            loaded = (await unit.tasks.load([moved.id]))[moved.id]
            changes = TaskChanges(title=f"after {len(seen)}")
            entry = loaded.change(changes, entry_id=new_id(), actor=OPERATOR, now=NOW + 100 * HOUR)
            assert entry is not None
            unit.tasks.save(loaded, entry)
            await unit.commit()
    assert [id for id in seen if id != moved.id] == [task.id for task in tasks if task is not moved]
    assert seen.count(moved.id) == 2


EMAILS = ["a-b@x.com", "a.b@x.com", "a_b@x.com", "ab@x.com", "a1@x.com", "z@x.com", "é@x.com", "ﬀ@x.com"]


def many_users() -> list[User]:
    # Beyond the basic plane, and below it but beyond the surrogates: UTF-16 would sort them the other way.
    emails = [*EMAILS, "\U00010428@x.com", "\uffee@x.com"]
    return [
        new_user(email=email, role=list(Role)[n % 3], active=n % 4 != 0, name="Odd" if n % 2 else "Even")
        for n, email in enumerate(reversed(emails))
    ]


USER_SELECTIONS: dict[str, tuple[dict[str, Any], Callable[[User], bool]]] = {
    "all": ({}, lambda _: True),
    "managers": ({"role": Role.MANAGER}, lambda u: u.role is Role.MANAGER),
    "active": ({"active": True}, lambda u: u.active),
    "inactive": ({"active": False}, lambda u: not u.active),
    "searched": ({"search": "ODD"}, lambda u: u.name == "Odd"),
    "inactive managers": (
        {"role": Role.MANAGER, "active": False},
        lambda u: u.role is Role.MANAGER and not u.active,
    ),
}


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", UserSort)
async def test_every_user_is_on_one_page_in_order(
    persistence: Persistence, sort: UserSort, *, descending: bool
) -> None:
    users = many_users()
    await persistence.add_users(*users)
    by_email = sort is UserSort.EMAIL
    for name, (asked, matches) in USER_SELECTIONS.items():
        found = [user for user in users if matches(user)]
        found.sort(key=lambda user: user.email if by_email else str(user.id), reverse=descending)
        seen: list[str] = []
        query = UserQuery(sort=sort, descending=descending, limit=3, **asked)
        while True:
            # As of when the first page was asked for: that is what all of them say.
            page = await persistence.user_reads.users(query, NOW + len(seen) * HOUR)
            seen += [user.email for user in page.items]
            if page.next is None:
                break
            assert page.next == Position(seen[-1] if by_email else None, page.items[-1].id, NOW)
            query = replace(query, after=page.next)
        assert seen == [user.email for user in found], name


async def test_a_hundred_rows_fit_on_a_page(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    tasks = [new_task(owner.id) for _ in range(101)]
    async with persistence.transactions() as unit:
        for task in tasks:
            unit.tasks.add(task, entry_of(task))
        await unit.commit()
    page = await persistence.task_reads.tasks(TaskQuery(owner=owner.id, limit=100), NOW)
    assert [task.id for task in page.items] == [task.id for task in reversed(tasks[1:])]
    assert page.next is not None
