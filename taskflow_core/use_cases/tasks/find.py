"""Questions about tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.errors import NotFound
from taskflow_core.permissions import Actor, require_query_owner, seen_owner
from taskflow_core.queries import HistoryPage, HistoryQuery, Page, TaskQuery, check_query

if TYPE_CHECKING:
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
        check_query(query)
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
        check_query(query)
        page = await self.reads.history(query, owner=seen_owner(actor))
        if page is None:
            raise NotFound
        return page
