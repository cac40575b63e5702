"""The read side on PostgreSQL: one statement a question, no aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from taskflow_core.queries import (
    HistoryPage,
    HistoryQuery,
    Page,
    Position,
    TaskQuery,
    TaskSort,
    UserQuery,
    UserSort,
)
from taskflow_core.tasks import Action, FieldChange, HistoryEntry, Priority, Status, TaskStats, TaskView
from taskflow_core.users import Credentials, Role, UserView
from taskflow_sqlalchemy import queries
from taskflow_sqlalchemy.connections import Connections, JoinedConnections, PooledConnections, fetch_all
from taskflow_sqlalchemy.task_repository import PRIORITIES, STATUSES

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection

    from taskflow_core.sessions import Origin

_INT_MAX: Final = 2**31 - 1

_USER: Final = len(queries.USER_COLUMNS)


class SqlAlchemyReads:
    """Questions about tasks and users (ports `TaskReads` and `UserReads`)."""

    def __init__(self, source: AsyncEngine | Connections) -> None:
        self._connections: Connections = (
            PooledConnections(source) if isinstance(source, AsyncEngine) else source
        )

    @classmethod
    def joined(cls, connection: AsyncConnection) -> SqlAlchemyReads:
        """Return reads inside the transaction that the host has open on `connection`."""
        return cls(JoinedConnections(connection))

    async def task(self, task_id: UUID, *, owner: UUID | None) -> TaskView | None:
        """Return the live task."""
        sql = queries.ONE_TASK[owner is not None]
        rows = await fetch_all(self._connections, sql, {"id": task_id, "owner": owner})
        return _task(rows[0]) if rows else None

    async def tasks(self, query: TaskQuery, now: datetime) -> Page[TaskView]:
        """Return a page of tasks."""
        sql = queries.list_tasks(queries.TaskShape.of(query))
        rows = await fetch_all(self._connections, sql, queries.task_parameters(query, now))
        items = tuple([_task(row) for row in rows[: query.limit]])
        if len(rows) <= query.limit:
            return Page(items, None)
        as_of = query.after.as_of if query.after else now
        return Page(items, Position(_task_key(items[-1], query.sort), items[-1].id, as_of))

    async def stats(self, owner: UUID | None, now: datetime) -> TaskStats:
        """Count the live tasks."""
        sql = queries.STATS[owner is not None]
        ((total, *counts, overdue),) = await fetch_all(self._connections, sql, {"owner": owner, "now": now})
        by_status = dict(zip(Status, counts[: len(Status)], strict=True))
        by_priority = dict(zip(Priority, counts[len(Status) :], strict=True))
        return TaskStats(total, by_status, by_priority, overdue, now)

    async def history(self, query: HistoryQuery, *, owner: UUID | None) -> HistoryPage[HistoryEntry] | None:
        """Return entries, newest first."""
        before = _INT_MAX if query.before_version is None else min(query.before_version, _INT_MAX)
        parameters = {"id": query.task_id, "owner": owner, "before": before, "rows": query.limit + 1}
        rows = await fetch_all(self._connections, queries.HISTORY[owner is not None], parameters)
        if not rows:
            return None
        entries = tuple(_entry(row) for row in rows[: query.limit] if row[0] is not None)
        return HistoryPage(entries, entries[-1].version if len(rows) > query.limit else None)

    async def user(self, user_id: UUID) -> UserView | None:
        """Return the user."""
        rows = await fetch_all(self._connections, queries.ONE_USER, {"id": user_id})
        return _user(rows[0]) if rows else None

    async def users(self, query: UserQuery, now: datetime) -> Page[UserView]:
        """Return a page of users."""
        sql = queries.list_users(queries.UserShape.of(query))
        rows = await fetch_all(self._connections, sql, queries.user_parameters(query))
        items = tuple(_user(row) for row in rows[: query.limit])
        if len(rows) <= query.limit:
            return Page(items, None)
        last = items[-1]
        key = last.email if query.sort is UserSort.EMAIL else None
        return Page(items, Position(key, last.id, query.after.as_of if query.after else now))

    async def emails(self, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """Return the emails of these users, by id."""
        rows = await fetch_all(self._connections, queries.EMAILS, {"ids": list(user_ids)})
        return dict(rows)

    async def credentials(self, email: str, origin: Origin) -> Credentials | None:
        """Return what signing in needs."""
        parameters = {"email": email, "network": origin.network, "user_agent": origin.user_agent}
        rows = await fetch_all(self._connections, queries.CREDENTIALS, parameters)
        return Credentials(_user(rows[0][:_USER]), *rows[0][_USER:]) if rows else None


def _task(row: tuple[Any, ...]) -> TaskView:
    id, title, description, status, priority, due_date, user_id, created, updated, completed, version = row
    return TaskView(
        id, title, description, STATUSES[status], PRIORITIES[priority], due_date,
        user_id, created, updated, completed, version,
    )  # fmt: skip


def _task_key(task: TaskView, sort: TaskSort) -> datetime | int | None:
    if sort is TaskSort.DUE_DATE:
        return task.due_date
    if sort is TaskSort.PRIORITY:
        return task.priority.rank
    return task.updated_at if sort is TaskSort.UPDATED_AT else None


def _entry(row: tuple[Any, ...]) -> HistoryEntry:
    id, task_id, version, at, actor_id, action, changes, request_id = row
    told = {name: FieldChange(before, after) for name, (before, after) in changes.items()}
    return HistoryEntry(id, task_id, version, at, actor_id, Action(action), told, request_id)


def _user(row: tuple[Any, ...]) -> UserView:
    id, email, name, role, active, created_at, updated_at, version, notifications = row
    return UserView(id, email, name, Role(role), active, created_at, updated_at, version, notifications)
