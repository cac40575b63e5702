"""Questions about tasks: who gets which answer, and what is counted."""

from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, OPERATOR, entry_of, new_id, new_task
from taskflow_core import (
    HistoryQuery,
    Priority,
    Status,
    TaskChanges,
    TaskQuery,
    TaskStats,
    TaskView,
)

DAY = timedelta(days=1)


async def titles(persistence: Persistence, **asked: Any) -> set[str]:
    page = await persistence.task_reads.tasks(TaskQuery(limit=100, **asked), NOW)
    assert page.next is None
    return {task.title for task in page.items}


async def test_one_task_is_shown_to_its_owner_and_to_those_who_see_all(persistence: Persistence) -> None:
    owner, other = await persistence.new_user(), await persistence.new_user()
    task = await persistence.new_task(owner.id, description="What it is about", due_date=NOW + DAY)
    view = TaskView.of(task)
    assert await persistence.task_reads.task(task.id, owner=owner.id) == view
    assert await persistence.task_reads.task(task.id, owner=None) == view
    assert await persistence.task_reads.task(task.id, owner=other.id) is None
    assert await persistence.task_reads.task(new_id(), owner=None) is None


async def test_a_deleted_task_is_not_shown(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = await persistence.new_task(owner.id, deleted_at=NOW)
    assert await persistence.task_reads.task(task.id, owner=owner.id) is None
    assert await persistence.task_reads.task(task.id, owner=None) is None


SHOWN: dict[str, dict[str, Any]] = {
    "plain": {},
    "started": {"status": Status.IN_PROGRESS, "priority": Priority.HIGH},
    "done": {"status": Status.COMPLETED, "due_date": NOW - DAY},
    "dropped": {"status": Status.CANCELLED, "due_date": NOW - DAY},
    "late": {"due_date": NOW - timedelta(milliseconds=1), "priority": Priority.HIGH},
    "due now": {"due_date": NOW, "priority": Priority.LOW},
    "due later": {"due_date": NOW + DAY, "status": Status.IN_PROGRESS},
    "old": {"created_at": NOW - 10 * DAY},
    "older": {"created_at": NOW - 20 * DAY, "due_date": NOW - 2 * DAY},
}
GONE: dict[str, dict[str, Any]] = {
    "gone": {"deleted_at": NOW},
    "gone late": {"deleted_at": NOW, "due_date": NOW - DAY, "priority": Priority.HIGH},
}

FILTERS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing": ({}, set(SHOWN)),
    "status pending": ({"status": Status.PENDING}, {"plain", "late", "due now", "old", "older"}),
    "status in progress": ({"status": Status.IN_PROGRESS}, {"started", "due later"}),
    "status completed": ({"status": Status.COMPLETED}, {"done"}),
    "status cancelled": ({"status": Status.CANCELLED}, {"dropped"}),
    "status open": (
        {"status": [Status.IN_PROGRESS, Status.PENDING]},
        {"plain", "late", "due now", "old", "older", "started", "due later"},
    ),
    "status one of one": ({"status": {Status.COMPLETED}}, {"done"}),
    "status closed and late": ({"status": (Status.COMPLETED, Status.CANCELLED), "overdue": True}, set()),
    "every status": ({"status": tuple(Status)}, set(SHOWN)),
    "priority low or high": (
        {"priority": [Priority.HIGH, Priority.LOW]},
        {"started", "late", "due now"},
    ),
    "status and priority": (
        {"status": [Status.IN_PROGRESS, Status.PENDING], "priority": [Priority.HIGH]},
        {"started", "late"},
    ),
    "priority low": ({"priority": Priority.LOW}, {"due now"}),
    "priority high": ({"priority": Priority.HIGH}, {"started", "late"}),
    "created from, inclusive": ({"created_from": NOW - 10 * DAY}, set(SHOWN) - {"older"}),
    "created to, exclusive": ({"created_to": NOW - 10 * DAY}, {"older"}),
    "created between": ({"created_from": NOW - 20 * DAY, "created_to": NOW}, {"old", "older"}),
    "due from, inclusive": ({"due_from": NOW}, {"due now", "due later"}),
    "due to, exclusive": ({"due_to": NOW}, {"done", "dropped", "late", "older"}),
    "due between": ({"due_from": NOW - DAY, "due_to": NOW}, {"done", "dropped", "late"}),
    "due, by an offset that only RFC 3339 knows": (
        {
            "due_from": (NOW - DAY).astimezone(timezone(timedelta(hours=22, minutes=32))),
            "due_to": NOW.astimezone(timezone(-timedelta(hours=22, minutes=32))),
        },
        {"done", "dropped", "late"},
    ),
    "due in no time": ({"due_from": NOW, "due_to": NOW}, set()),
    "overdue": ({"overdue": True}, {"late", "older"}),
    "not overdue": ({"overdue": False}, set(SHOWN) - {"late", "older"}),
    "overdue and done": ({"overdue": True, "status": Status.COMPLETED}, set()),
    "not overdue and done": ({"overdue": False, "status": Status.COMPLETED}, {"done"}),
    "deleted": ({"deleted": True}, set(GONE)),
    "deleted and overdue": ({"deleted": True, "overdue": True}, {"gone late"}),
    "deleted of a priority": ({"deleted": True, "priority": Priority.MEDIUM}, {"gone"}),
    "search": ({"search": "late"}, {"late", "due later"}),
    "search among the deleted": ({"search": "LATE", "deleted": True}, {"gone late"}),
    "several": (
        {"status": Status.PENDING, "priority": Priority.MEDIUM, "created_to": NOW, "search": "old"},
        {"old", "older"},
    ),
    "all of them": (
        {
            "status": Status.PENDING,
            "priority": Priority.MEDIUM,
            "search": "ld",
            "created_from": NOW - 30 * DAY,
            "created_to": NOW,
            "due_from": NOW - 3 * DAY,
            "due_to": NOW,
            "overdue": True,
        },
        {"older"},
    ),
}


async def fill(persistence: Persistence) -> tuple[UUID, UUID]:
    """The tasks of two owners, the second's with `*` behind the title; return both owners."""
    owner, other = await persistence.new_user(), await persistence.new_user()
    for user, mark in ((owner, ""), (other, "*")):
        tasks = [new_task(user.id, title=title + mark, **given) for title, given in (SHOWN | GONE).items()]
        await persistence.add_tasks(*tasks)
    return owner.id, other.id


async def test_filters_let_through_what_they_name(persistence: Persistence) -> None:
    owner, other = await fill(persistence)
    found = {name: await titles(persistence, owner=owner, **asked) for name, (asked, _) in FILTERS.items()}
    assert found == {name: expected for name, (_, expected) in FILTERS.items()}
    for name, (asked, expected) in FILTERS.items():
        marked = {f"{title}*" for title in expected}
        assert await titles(persistence, owner=other, **asked) == marked, name
        assert await titles(persistence, owner=None, **asked) == expected | marked, name


async def test_an_owner_without_tasks_and_an_unknown_one_have_an_empty_page(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    assert await titles(persistence, owner=owner.id) == set()
    assert await titles(persistence, owner=new_id()) == set()


async def test_a_list_shows_whole_tasks(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = await persistence.new_task(
        owner.id,
        description="x",
        status=Status.COMPLETED,
        priority=Priority.HIGH,
        due_date=NOW + DAY,
        updated_at=NOW + DAY,
        version=3,
    )
    page = await persistence.task_reads.tasks(TaskQuery(owner=owner.id), NOW)
    assert page.items == (TaskView.of(task),)


async def test_statistics_count_the_live_tasks_of_whom_they_are_asked_for(persistence: Persistence) -> None:
    owner, _ = await fill(persistence)
    expected = TaskStats(
        total=9,
        by_status={
            Status.PENDING: 5,
            Status.IN_PROGRESS: 2,
            Status.COMPLETED: 1,
            Status.CANCELLED: 1,
        },
        by_priority={Priority.LOW: 1, Priority.MEDIUM: 6, Priority.HIGH: 2},
        overdue=2,
        as_of=NOW,
    )
    assert await persistence.task_reads.stats(owner, NOW) == expected
    everyone = await persistence.task_reads.stats(None, NOW)
    assert everyone == replace(
        expected,
        total=18,
        by_status={status: 2 * n for status, n in expected.by_status.items()},
        by_priority={priority: 2 * n for priority, n in expected.by_priority.items()},
        overdue=4,
    )


async def test_statistics_name_every_status_and_priority_of_nothing(persistence: Persistence) -> None:
    nothing = TaskStats(0, dict.fromkeys(Status, 0), dict.fromkeys(Priority, 0), 0, NOW)
    assert await persistence.task_reads.stats(new_id(), NOW) == nothing
    assert await persistence.task_reads.stats(None, NOW) == nothing


async def test_what_is_overdue_changes_with_the_time_asked_for(persistence: Persistence) -> None:
    owner, _ = await fill(persistence)
    for now, overdue in (
        (NOW - 30 * DAY, 0),
        (NOW, 2),
        (NOW + timedelta(milliseconds=1), 3),
        (NOW + 2 * DAY, 4),
    ):
        assert (await persistence.task_reads.stats(owner, now)).overdue == overdue


class TestHistory:
    async def changed_task(self, persistence: Persistence, times: int) -> tuple[UUID, UUID]:
        owner = await persistence.new_user()
        task = await persistence.new_task(owner.id)
        for n in range(times):
            async with persistence.transactions() as unit:
                loaded = (await unit.tasks.load([task.id]))[task.id]
                changes = TaskChanges(title=f"{n}")
                # The clock stands still: the version is the order.
                entry = loaded.change(changes, entry_id=new_id(), actor=OPERATOR, now=NOW)
                assert entry is not None
                unit.tasks.save(loaded, entry)
                await unit.commit()
        return task.id, owner.id

    async def test_it_is_newest_first_and_whole(self, persistence: Persistence) -> None:
        task_id, _ = await self.changed_task(persistence, 4)
        entries = await persistence.history(task_id)
        assert [entry.version for entry in entries] == [5, 4, 3, 2, 1]
        assert [entry.changes["title"].after for entry in entries] == ["3", "2", "1", "0", "A task"]

    @pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (100, [5])])
    async def test_pages_hold_each_entry_once(
        self, persistence: Persistence, limit: int, sizes: list[int]
    ) -> None:
        task_id, _ = await self.changed_task(persistence, 4)
        seen, before = [], None
        while True:
            query = HistoryQuery(task_id=task_id, limit=limit, before_version=before)
            page = await persistence.task_reads.history(query, owner=None)
            assert page is not None
            seen.append([entry.version for entry in page.items])
            if (before := page.next_before) is None:
                break
        assert [len(versions) for versions in seen] == sizes
        assert [version for versions in seen for version in versions] == [5, 4, 3, 2, 1]

    async def test_before_the_first_there_is_nothing(self, persistence: Persistence) -> None:
        task_id, _ = await self.changed_task(persistence, 1)
        for before in (1, 0, -1):
            query = HistoryQuery(task_id=task_id, before_version=before)
            page = await persistence.task_reads.history(query, owner=None)
            assert page is not None
            assert (page.items, page.next_before) == ((), None)

    async def test_a_position_beyond_any_version_is_the_start(self, persistence: Persistence) -> None:
        task_id, _ = await self.changed_task(persistence, 1)
        query = HistoryQuery(task_id=task_id, before_version=2**63)
        page = await persistence.task_reads.history(query, owner=None)
        assert page is not None
        assert [entry.version for entry in page.items] == [2, 1]

    async def test_it_is_shown_to_those_who_see_the_task(self, persistence: Persistence) -> None:
        task_id, owner = await self.changed_task(persistence, 1)
        query = HistoryQuery(task_id=task_id)
        assert await persistence.task_reads.history(query, owner=owner) is not None
        assert await persistence.task_reads.history(query, owner=new_id()) is None
        unknown = HistoryQuery(task_id=new_id())
        assert await persistence.task_reads.history(unknown, owner=None) is None

    async def test_that_of_a_deleted_task_is_not_shown(self, persistence: Persistence) -> None:
        owner = await persistence.new_user()
        task = new_task(owner.id, deleted_at=NOW)
        async with persistence.transactions() as unit:
            unit.tasks.add(task, entry_of(task))
            await unit.commit()
        assert await persistence.task_reads.history(HistoryQuery(task_id=task.id), owner=None) is None
