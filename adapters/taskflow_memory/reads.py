"""The read side over the dictionaries."""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar
from unicodedata import normalize

from taskflow_core import (
    Credentials,
    HistoryPage,
    Page,
    Position,
    Priority,
    Status,
    TaskSort,
    TaskStats,
    TaskView,
    UserSort,
    UserView,
)
from taskflow_core.queries import choices
from taskflow_memory.store import copied

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime
    from uuid import UUID

    from taskflow_core import HistoryEntry, HistoryQuery, Origin, Task, TaskQuery, User, UserQuery
    from taskflow_memory.store import MemoryStore

SortKey: TypeAlias = "datetime | int | str | None"
R = TypeVar("R", "Task", "User")


@dataclass(frozen=True, slots=True)
class MemoryReads:
    """Answers about tasks and users (ports `TaskReads` and `UserReads`)."""

    store: MemoryStore

    async def task(self, task_id: UUID, *, owner: UUID | None) -> TaskView | None:
        """Return the live task, where it is `owner`'s."""
        task = self._live_task(task_id, owner)
        return None if task is None else TaskView.of(task)

    async def tasks(self, query: TaskQuery, now: datetime) -> Page[TaskView]:
        """Return a page of those that match, in the order asked for."""
        as_of = query.after.as_of if query.after else now
        matching = [task for task in self.store.tasks.values() if _task_matches(task, query, as_of)]
        rows, after = _page(matching, _TASK_KEYS[query.sort], query, as_of)
        return Page(tuple(TaskView.of(task) for task in rows), after)

    async def stats(self, owner: UUID | None, now: datetime) -> TaskStats:
        """Count the live tasks of `owner`."""
        live = [task for task in self.store.tasks.values() if task.deleted_at is None]
        counted = [task for task in live if owner in (None, task.user_id)]
        statuses = Counter(task.status for task in counted)
        priorities = Counter(task.priority for task in counted)
        return TaskStats(
            total=len(counted),
            by_status={status: statuses[status] for status in Status},
            by_priority={priority: priorities[priority] for priority in Priority},
            overdue=sum(task.is_overdue(now) for task in counted),
            as_of=now,
        )

    async def history(self, query: HistoryQuery, *, owner: UUID | None) -> HistoryPage[HistoryEntry] | None:
        """Return copies of a live task's entries, newest first."""
        if self._live_task(query.task_id, owner) is None:
            return None
        newest_first = sorted(self.store.history[query.task_id], key=lambda e: e.version, reverse=True)
        before = query.before_version
        older = [entry for entry in newest_first if before is None or entry.version < before]
        items = tuple(copied(entry) for entry in older[: query.limit])
        return HistoryPage(items, items[-1].version if len(older) > query.limit else None)

    async def user(self, user_id: UUID) -> UserView | None:
        """Return the user."""
        user = self.store.live_user(user_id)
        return None if user is None else UserView.of(user)

    async def users(self, query: UserQuery, now: datetime) -> Page[UserView]:
        """Return a page of those that match, in the order asked for."""
        as_of = query.after.as_of if query.after else now
        matching = [user for user in self.store.live_users() if _user_matches(user, query)]
        rows, after = _page(matching, _USER_KEYS[query.sort], query, as_of)
        return Page(tuple(UserView.of(user) for user in rows), after)

    async def emails(self, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """Return the emails of these users, by id."""
        return {user.id: user.email for user in self.store.live_users() if user.id in user_ids}

    async def credentials(self, email: str, origin: Origin) -> Credentials | None:
        """Return what signing in needs."""
        user = next((user for user in self.store.live_users() if user.email == email), None)
        if user is None:
            return None
        origins = [session.origin for session in self.store.sessions_of(user.id)]
        here = [known.user_agent for known in origins if known.network == origin.network]
        return Credentials(
            UserView.of(user), user.password_hash, user.password_version,
            known_origin=origin.user_agent in here, known_network=bool(here), has_signed_in=bool(origins),
        )  # fmt: skip

    def _live_task(self, task_id: UUID, owner: UUID | None) -> Task | None:
        task = self.store.tasks.get(task_id)
        if task is None or task.deleted_at is not None or owner not in (None, task.user_id):
            return None
        return task


_TASK_KEYS: Final[Mapping[TaskSort, Callable[[Task], SortKey]]] = {
    TaskSort.CREATED_AT: lambda _: None,
    TaskSort.DUE_DATE: lambda task: task.due_date,
    TaskSort.PRIORITY: lambda task: task.priority.rank,
    TaskSort.UPDATED_AT: lambda task: task.updated_at,
}
_USER_KEYS: Final[Mapping[UserSort, Callable[[User], SortKey]]] = {
    UserSort.CREATED_AT: lambda _: None,
    UserSort.EMAIL: lambda user: user.email,
}


def _task_matches(task: Task, query: TaskQuery, as_of: datetime) -> bool:
    return (
        query.owner in (None, task.user_id)
        and task.status in choices(Status, query.status)
        and task.priority in choices(Priority, query.priority)
        and query.overdue in (None, task.is_overdue(as_of))
        and query.deleted == (task.deleted_at is not None)
        and _within(task.created_at, query.created_from, query.created_to)
        and _within(task.due_date, query.due_from, query.due_to)
        and _contains(query.search, task.title, task.description or "")
    )


def _user_matches(user: User, query: UserQuery) -> bool:
    return (
        query.role in (None, user.role)
        and query.active in (None, user.active)
        and _contains(query.search, user.email, user.name)
    )


def _within(time: datetime | None, start: datetime | None, end: datetime | None) -> bool:
    """Return whether a time lies from `start` on and before `end`; none lies only where neither is given."""
    if time is None:
        return start is None and end is None
    return (start is None or start <= time) and (end is None or time < end)


def _contains(search: str | None, *texts: str) -> bool:
    return search is None or any(_folded(search) in _folded(text) for text in texts)


def _folded(text: str) -> str:
    """Return what canonically equivalent texts have in common in any letter case (Unicode D145)."""
    return normalize("NFC", normalize("NFD", text).casefold())


def _page(
    matching: Iterable[R], key: Callable[[R], SortKey], query: TaskQuery | UserQuery, as_of: datetime
) -> tuple[list[R], Position | None]:
    """Return the rows of the page that `query` asks for, and where the next begins."""

    def place(key: SortKey, id: UUID) -> tuple[object, ...]:
        # Those without a key come last in either direction: they are a group of their own.
        missing = key is None
        return (missing != query.descending, missing or key, id)

    placed = sorted(((place(key(row), row.id), row) for row in matching), key=operator.itemgetter(0))
    if query.descending:
        placed.reverse()
    if query.after is not None:
        seen = place(query.after.key, query.after.id)
        beyond = operator.lt if query.descending else operator.gt
        placed = [(at, row) for at, row in placed if beyond(at, seen)]
    rows = [row for _, row in placed[: query.limit]]
    last = rows[-1] if len(placed) > query.limit else None
    return rows, None if last is None else Position(key(last), last.id, as_of)
