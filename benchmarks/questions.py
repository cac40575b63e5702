"""The questions whose cost is to stay the same however many tasks there are, by name."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count, cycle
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.filling import NEEDLE, Filled
from taskflow_core import (
    Actor,
    Batch,
    BatchAction,
    BatchItem,
    ChangeTask,
    ChangeTasks,
    CountTasks,
    CreateTask,
    FindTask,
    HistoryQuery,
    ListTasks,
    NewTask,
    Position,
    Priority,
    ReadHistory,
    Role,
    Status,
    TaskChange,
    TaskChanges,
    TaskQuery,
    TaskSort,
)
from taskflow_sqlalchemy import SqlAlchemyReads, SqlAlchemyTransactions
from taskflow_system import SystemClock, Uuid7

Ask = Callable[[], Awaitable[object]]

_SOME = 20
_PAGES = 10
PAGE = 100
"""The page far down a list."""


class Question(NamedTuple):
    """Something to ask.

    Attributes:
        name: The same for every size.
        ask: Asks it once, each time of something else where that makes a difference.
        variants: Of how many.
    """

    name: str
    ask: Ask
    variants: int = 1


@dataclass(frozen=True)
class Installation:
    """A database and what is in it."""

    engine: AsyncEngine
    filled: Filled
    now: datetime

    @property
    def big(self) -> UUID:
        assert self.filled.big is not None
        return self.filled.big

    @property
    def small(self) -> Sequence[UUID]:
        return self.filled.small


def flat(at: Installation) -> Iterator[Question]:
    """Yield what concerns one owner or one index."""
    yield from _owner("10,000", [at.big], at)
    yield from _owner("few", at.small, at)
    yield from _everyone(at)
    yield from _changes("10,000", [at.big], at)
    yield from _changes("few", at.small, at)


def not_flat(at: Installation) -> Iterator[Question]:
    """Yield what no index answers; the statement's deadline bounds it."""
    everyone = TaskQuery(owner=None)
    stats = CountTasks(SqlAlchemyReads(at.engine), SystemClock())
    yield Question("everyone's statistics", lambda: stats(None, Actor.operator()))
    for name, query in (
        ("everyone's, a substring that many have", replace(everyone, search="report")),
        (f"everyone's, a substring that few have ({NEEDLE})", replace(everyone, search=NEEDLE)),
        ("everyone's, a substring that none has", replace(everyone, search="no such thing")),
        ("everyone's, priority HIGH", replace(everyone, priority=Priority.HIGH)),
        ("everyone's, due in a month", replace(everyone, due_from=at.now, due_to=at.now + timedelta(30))),
        ("everyone's, overdue, newest first", replace(everyone, overdue=True)),
        ("everyone's, by due date", replace(everyone, sort=TaskSort.DUE_DATE, descending=False)),
        ("everyone's, by priority", replace(everyone, sort=TaskSort.PRIORITY)),
        ("everyone's, by time of change", replace(everyone, sort=TaskSort.UPDATED_AT)),
    ):
        yield Question(name, _list(at, query, Actor.operator()))


def _list(at: Installation, query: TaskQuery, actor: Actor) -> Ask:
    tasks = ListTasks(SqlAlchemyReads(at.engine), SystemClock())
    return lambda: tasks(query, actor)


def _owner(kind: str, owners: Sequence[UUID], at: Installation) -> Iterator[Question]:
    """Yield the questions about the tasks of one, asked of each owner in turn."""
    tasks = ListTasks(SqlAlchemyReads(at.engine), SystemClock())

    def each(query: TaskQuery) -> Ask:
        turn = cycle(owners)

        def ask() -> Awaitable[object]:
            owner = next(turn)
            return tasks(replace(query, owner=owner), Actor.of(owner, Role.USER))

        return ask

    yield Question(f"own ({kind}): first page", each(TaskQuery(owner=None)), len(owners))
    if len(owners) == 1:
        yield from _far_pages(f"own ({kind})", at, TaskQuery(owner=owners[0]))
    for name, query in _filters(at.now):
        yield Question(f"own ({kind}): {name}", each(query), len(owners))
    yield from _one(kind, owners, at)


def _filters(now: datetime) -> Iterator[tuple[str, TaskQuery]]:
    any_ = TaskQuery(owner=None)
    for status in Status:
        yield f"status {status}", replace(any_, status=status)
    for priority in Priority:
        yield f"priority {priority}", replace(any_, priority=priority)
    a_year_ago = now - timedelta(days=365)
    month = a_year_ago + timedelta(days=30)
    yield "due in a month", replace(any_, due_from=a_year_ago, due_to=month)
    yield "created in a month", replace(any_, created_from=a_year_ago, created_to=month)
    yield "overdue", replace(any_, overdue=True)
    yield "not overdue", replace(any_, overdue=False)
    yield "overdue by due date", replace(any_, overdue=True, sort=TaskSort.DUE_DATE, descending=False)
    yield "deleted", replace(any_, deleted=True)
    for sort in TaskSort:
        for descending in (False, True):
            if (sort, descending) != (TaskSort.CREATED_AT, True):
                name = f"sort {'-' if descending else ''}{sort}"
                yield name, replace(any_, sort=sort, descending=descending)
    yield "search, found", replace(any_, search="report")
    yield "search, not found", replace(any_, search="no such thing")


def _far_pages(whose: str, at: Installation, query: TaskQuery) -> Iterator[Question]:
    actor = Actor.operator() if query.owner is None else Actor.of(query.owner, Role.USER)
    orders = [("", query)]
    if query.owner is not None:
        orders += [
            (" by due date", replace(query, sort=TaskSort.DUE_DATE, descending=False)),
            (" by -priority", replace(query, sort=TaskSort.PRIORITY)),
        ]
    for name, order in orders:
        yield Question(f"{whose}: page {PAGE}{name}", _Walked(at, order, actor), _PAGES)


class _Walked:
    """Asks in turn for a page that it once walked to, cursor by cursor, and for those after it."""

    def __init__(self, at: Installation, query: TaskQuery, actor: Actor, page: int = PAGE) -> None:
        self._page = page
        self._tasks = ListTasks(SqlAlchemyReads(at.engine), SystemClock())
        self._query = query
        self._actor = actor
        self._turn: Iterator[Position] | None = None

    async def __call__(self) -> object:
        if self._turn is None:
            self._turn = cycle(await self._walk())
        return await self._tasks(replace(self._query, after=next(self._turn)), self._actor)

    async def _walk(self) -> list[Position]:
        ends: list[Position] = []
        for _ in range(self._page + _PAGES - 2):
            after = ends[-1] if ends else None
            page = await self._tasks(replace(self._query, after=after), self._actor)
            assert page.next is not None
            ends.append(page.next)
        return ends[-_PAGES:]


def _one(kind: str, owners: Sequence[UUID], at: Installation) -> Iterator[Question]:
    reads = SqlAlchemyReads(at.engine)
    counts, find, history = CountTasks(reads, SystemClock()), FindTask(reads), ReadHistory(reads)
    draw, turn = Random(2), cycle(owners)

    def stats() -> Awaitable[object]:
        owner = next(turn)
        return counts(owner, Actor.of(owner, Role.USER))

    def a_task() -> tuple[UUID, Actor]:
        owner = next(turn)
        return draw.choice(at.filled.ids[owner]), Actor.of(owner, Role.USER)

    yield Question(f"own ({kind}): statistics", stats, len(owners))
    yield Question(f"own ({kind}): read one", lambda: find(*a_task()), _SOME)

    def read_history() -> Awaitable[object]:
        id, actor = a_task()
        return history(HistoryQuery(task_id=id), actor)

    yield Question(f"own ({kind}): history of one", read_history, _SOME)


def _everyone(at: Installation) -> Iterator[Question]:
    query, operator = TaskQuery(owner=None), Actor.operator()
    yield Question("everyone's: newest first", _list(at, query, operator))
    yield from _far_pages("everyone's", at, query)
    for status in Status:
        yield Question(f"everyone's: {status}", _list(at, replace(query, status=status), operator))
    overdue = replace(query, overdue=True, sort=TaskSort.DUE_DATE, descending=False)
    yield Question("everyone's: overdue by due date", _list(at, overdue, operator))
    yield Question("everyone's: overdue by -due date", _list(at, replace(overdue, descending=True), operator))
    yield Question("everyone's: overdue by due date, page 50", _Walked(at, overdue, operator, 50), _PAGES)
    yield Question("everyone's: deleted", _list(at, replace(query, deleted=True), operator))


def _changes(kind: str, owners: Sequence[UUID], at: Installation) -> Iterator[Question]:
    ports: Any = (SqlAlchemyTransactions(at.engine), SystemClock(), Uuid7())
    create, change, batch = CreateTask(*ports), ChangeTask(*ports), ChangeTasks(*ports)
    draw, turn, titles = Random(3), cycle(owners), count(time.monotonic_ns())

    def create_one() -> Awaitable[object]:
        return create(NewTask(title="Call back"), Actor.of(next(turn), Role.USER))

    def change_one() -> Awaitable[object]:
        owner = next(turn)
        changes = TaskChanges(title=f"Call back {next(titles)}", priority=draw.choice(list(Priority)))
        return change(TaskChange(draw.choice(at.filled.ids[owner]), changes), Actor.of(owner, Role.USER))

    def change_many(ids: Sequence[UUID], owner: UUID) -> Awaitable[object]:
        items = tuple(map(BatchItem, ids))
        step = next(titles)
        changes = TaskChanges(
            status=(Status.PENDING, Status.IN_PROGRESS)[step % 2], title=f"Call back {step}"
        )
        return batch(
            Batch(action=BatchAction.UPDATE, items=items, changes=changes), Actor.of(owner, Role.USER)
        )

    def page_of_100() -> Awaitable[object]:
        owner = next(turn)
        ids = at.filled.ids[owner]
        start = draw.randrange(max(1, len(ids) - 99))
        return change_many(ids[start : start + 100], owner)

    def any_100() -> Awaitable[object]:
        owner = next(turn)
        return change_many(draw.sample(at.filled.ids[owner], 100), owner)

    yield Question(f"own ({kind}): create", create_one, _SOME)
    yield Question(f"own ({kind}): change one", change_one, _SOME)
    if len(owners) == 1:
        yield Question(f"own ({kind}): batch of 100 beside each other", page_of_100, _SOME)
        yield Question(f"own ({kind}): batch of 100 from anywhere", any_100, _SOME)
    else:
        yield Question(f"own ({kind}): batch of all", page_of_100, _SOME)
