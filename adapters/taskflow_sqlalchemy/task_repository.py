"""The tasks of one unit of work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from taskflow_core.errors import Contention, UnknownOwner
from taskflow_core.tasks import Priority, Status, Task
from taskflow_core.use_cases.tasks import notify_overdue
from taskflow_sqlalchemy.ledger_statements import REARM, TELL_OVERDUE
from taskflow_sqlalchemy.statements import (
    ADD_TASKS,
    ADD_TASKS_AND_JOBS,
    LOCK_OWNERS,
    LOCK_TASKS,
    LOCK_TASKS_WITHOUT_TEXTS,
    SAVE_TASKS,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.quota import Quota
    from taskflow_core.tasks import HistoryEntry
    from taskflow_sqlalchemy.statements import Statement

PRIORITIES: Final = tuple(Priority)
STATUSES: Final[Mapping[str, Status]] = {str(status): status for status in Status}

_encode: Final = msgspec.json.Encoder().encode


class Unit(Protocol):
    """What a repository needs of its unit of work."""

    async def ask(self, *statements: Statement) -> list[list[tuple[Any, ...]]]: ...

    async def run(self, statement: Statement) -> int: ...


class SqlAlchemyTasks:
    """Loads with locks, collects what is to be written (port `TaskRepository`)."""

    def __init__(self, unit: Unit, quota: Quota) -> None:
        self._unit = unit
        self._limits = {"quota_tasks": quota.tasks, "quota_bytes": quota.bytes}
        self._loaded: dict[UUID, tuple[UUID, str, str | None]] = {}
        self._added: list[tuple[Task, HistoryEntry, bool]] = []
        self._saved: list[tuple[Task, HistoryEntry]] = []
        self._rearmed: list[Statement] = []

    async def load(
        self,
        ids: Collection[UUID],
        *,
        and_owners: Collection[UUID] = (),
        of_owner: UUID | None = None,
        texts: bool = True,
    ) -> Mapping[UUID, Task]:
        """Lock owners, then tasks; see the port."""
        chosen = {"ids": list(ids), "of_owner": of_owner}
        owners, rows = await self._unit.ask(
            (LOCK_OWNERS, {**chosen, "owners": list(and_owners)}),
            (LOCK_TASKS if texts else LOCK_TASKS_WITHOUT_TEXTS, chosen),
        )
        live: dict[UUID, bool] = dict(owners)
        if not all(live.get(owner) for owner in and_owners):
            raise UnknownOwner
        tasks = {row[0]: _task(row) for row in rows}
        if any(task.user_id not in live for task in tasks.values()):
            # It went to another owner between the two locks; waiting for that one now could deadlock.
            raise Contention
        tasks = {id: task for id, task in tasks.items() if live[task.user_id]}
        self._loaded.update((id, (task.user_id, task.title, task.description)) for id, task in tasks.items())
        return tasks

    def add(self, task: Task, entry: HistoryEntry, *, told: bool = False) -> None:
        """Keep a new task for `commit`."""
        self._added.append((task, entry, told))

    def save(self, task: Task, entry: HistoryEntry) -> None:
        """Keep a loaded task for `commit`."""
        if task.id not in self._loaded:
            raise LookupError("Only a task that this unit of work has loaded, and so locked, can be saved.")
        self._saved.append((task, entry))

    async def tell_overdue(self, ids: Sequence[UUID], *, max_tries: int) -> Sequence[UUID]:
        """Mark tasks that fell overdue, and make a job for each."""
        parameters = {"ids": list(ids), "max_tries": max_tries, "kept": notify_overdue.TOLD_KEPT}
        (rows,) = await self._unit.ask((TELL_OVERDUE, parameters))
        return [row[0] for row in rows]

    def rearm(self, task_id: UUID, due_date: datetime) -> None:
        """Forget at `commit` that a task was told of."""
        self._rearmed.append((REARM, {"id": task_id, "due_date": due_date}))

    async def flush(self) -> None:
        """Write what was saved, and forget it."""
        statements = self.saved()
        self._saved, self._rearmed = [], []
        self._loaded.clear()
        if statements:
            await self._unit.ask(*statements)

    @property
    def adds(self) -> int:
        """How many tasks are to be added."""
        return len(self._added)

    def added(self, jobs: Sequence[Statement]) -> list[Statement]:
        """Return the statement that adds the new tasks, if there are any; it returns a row for each.

        Where `jobs`, the statement that adds background work, is given, it does that too.
        """
        if not self._added:
            return []
        rows = [{**_row(task), "created_at": task.created_at, "told": told} for task, _, told in self._added]
        for row, (task, _, _) in zip(rows, self._added, strict=True):
            row.update(title=task.title, description=task.description)
        owners = {task.user_id for task, _, _ in self._added}
        sql, parameters = _write(
            ADD_TASKS_AND_JOBS if jobs else ADD_TASKS, rows, owners, (entry for _, entry, _ in self._added)
        )
        parameters.update(self._limits)
        for _, work in jobs:
            parameters.update(work)
        return [(sql, parameters)]

    def saved(self) -> list[Statement]:
        """Return the statements that write what changed, if anything did."""
        if not self._saved:
            return self._rearmed
        rows, owners = [], set()
        for task, _ in self._saved:
            owner, title, description = self._loaded[task.id]
            owners |= {owner, task.user_id}
            row = _row(task)
            if task.title != title:
                row["title"] = task.title
            if task.description != description:
                row["description"], row["description_moved"] = task.description, True
            rows.append(row)
        sql, parameters = _write(SAVE_TASKS, rows, owners, (entry for _, entry in self._saved))
        return [(sql, parameters | self._limits), *self._rearmed]


def _write(
    sql: str, rows: list[dict[str, Any]], owners: Collection[UUID], entries: Iterable[HistoryEntry]
) -> tuple[str, dict[str, Any]]:
    history = [_entry(entry) for entry in entries]
    return sql, {"tasks": _json(rows), "owners": list(owners), "history": _json(history)}


def _json(rows: list[dict[str, Any]]) -> str:
    return _encode(rows).decode()


def _task(row: tuple[Any, ...]) -> Task:
    (id, user_id, title, description, status, priority, due_date,
     created_at, updated_at, completed_at, deleted_at, version) = row  # fmt: skip
    return Task(
        id=id, user_id=user_id, title=title, description=description, status=STATUSES[status],
        priority=PRIORITIES[priority], due_date=due_date, created_at=created_at, updated_at=updated_at,
        completed_at=completed_at, deleted_at=deleted_at, version=version,
    )  # fmt: skip


def _row(task: Task) -> dict[str, Any]:
    return {
        "id": task.id, "user_id": task.user_id, "status": task.status, "priority": task.priority.rank,
        "due_date": task.due_date, "updated_at": task.updated_at, "completed_at": task.completed_at,
        "deleted_at": task.deleted_at, "version": task.version,
    }  # fmt: skip


def _entry(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "task_id": entry.task_id, "version": entry.version, "id": entry.id, "at": entry.at,
        "actor_id": entry.actor_id, "action": entry.action, "request_id": entry.request_id,
        "changes": {name: (change.before, change.after) for name, change in entry.changes.items()},
    }  # fmt: skip
