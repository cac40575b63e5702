"""Questions about tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from taskflow_core.errors import Fault, InvalidInput, NotFound
from taskflow_core.fields import check_fields, check_text
from taskflow_core.permissions import Actor, require_query_owner, seen_owner
from taskflow_core.queries import (
    SEARCH_MAX,
    HistoryPage,
    HistoryQuery,
    Page,
    TaskQuery,
    TaskSort,
    check_limit,
)
from taskflow_core.tasks import check_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from taskflow_core.ports.persistence import TaskReads
    from taskflow_core.ports.time import Clock
    from taskflow_core.tasks import HistoryEntry, TaskStats, TaskView


@dataclass(frozen=True, slots=True)
class FindTask:
    """Read one task."""

    reads: TaskReads

    async def __call__(self, task_id: UUID, actor: Actor) -> TaskView:
        """Return the task.

        Raises:
            NotFound: It is not there, is deleted, or is not to be seen.
        """
        task = await self.reads.task(task_id, owner=seen_owner(actor))
        if task is None:
            raise NotFound
        return task


@dataclass(frozen=True, slots=True)
class ListTasks:
    """List tasks, a page at a time."""

    reads: TaskReads
    clock: Clock

    async def __call__(self, query: TaskQuery, actor: Actor) -> Page[TaskView]:
        """Return a page.

        Raises:
            Forbidden: Another's or everyone's, without the permission.
            InvalidInput: The limit, the search, a time or the position breaks its rule.
        """
        require_query_owner(actor, query.owner)
        _check(query)
        return await self.reads.tasks(query, self.clock())


@dataclass(frozen=True, slots=True)
class CountTasks:
    """Count tasks by status, by priority, and the overdue."""

    reads: TaskReads
    clock: Clock

    async def __call__(self, owner: UUID | None, actor: Actor) -> TaskStats:
        """Return the numbers of `owner` (None: of everyone).

        Raises:
            Forbidden: Another's or everyone's, without the permission.
        """
        require_query_owner(actor, owner)
        return await self.reads.stats(owner, self.clock())


@dataclass(frozen=True, slots=True)
class ReadHistory:
    """Read what happened to a task."""

    reads: TaskReads

    async def __call__(self, query: HistoryQuery, actor: Actor) -> HistoryPage[HistoryEntry]:
        """Return entries, newest first.

        Raises:
            NotFound: The task is not there, is deleted, or is not to be seen.
            InvalidInput: The limit breaks its rule.
        """
        check_limit(query.limit)
        page = await self.reads.history(query, owner=seen_owner(actor))
        if page is None:
            raise NotFound
        return page


def _check_search(value: str | None) -> str | None:
    return None if value is None else check_text(value, least=1, most=SEARCH_MAX)


_RULES: Final[Mapping[str, Callable[[Any], object]]] = {
    "search": _check_search,
    "created_from": check_time,
    "created_to": check_time,
    "due_from": check_time,
    "due_to": check_time,
}


def _check(query: TaskQuery) -> None:
    check_limit(query.limit)
    check_fields(_RULES, {name: getattr(query, name) for name in _RULES})
    position = query.after
    keyed = query.sort is not TaskSort.CREATED_AT
    if position is not None and not keyed and position.key is not None:
        raise InvalidInput([Fault(("after",), "is not a position in this list")])
