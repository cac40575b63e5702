"""The tasks and users of one unit of work, over the dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskflow_core import JobKind, LedgerEntry, Role, UnknownOwner
from taskflow_core.tasks import as_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from taskflow_core import HistoryEntry, Task, User
    from taskflow_memory.store import MemoryStore


@dataclass(slots=True)
class MemoryTaskRepository:
    """The tasks of one unit of work (port `TaskRepository`)."""

    store: MemoryStore
    added: list[Task] = field(default_factory=list)
    written: list[tuple[Task, HistoryEntry]] = field(default_factory=list)
    textless: set[UUID] = field(default_factory=set)
    told: set[tuple[UUID, datetime]] = field(default_factory=set)
    told_by: list[LedgerEntry] = field(default_factory=list)
    rearmed: set[tuple[UUID, datetime]] = field(default_factory=set)

    async def load(
        self,
        ids: Collection[UUID],
        *,
        and_owners: Collection[UUID] = (),
        of_owner: UUID | None = None,
        texts: bool = True,
    ) -> Mapping[UUID, Task]:
        """Return copies; the unit alone is the lock."""
        self.textless = set()
        if any(self.store.live_user(owner) is None for owner in and_owners):
            raise UnknownOwner
        found = (self.store.tasks[id] for id in ids if id in self.store.tasks)
        chosen = [
            task for task in found if self.store.live_user(task.user_id) and of_owner in (None, task.user_id)
        ]
        if texts:
            return {task.id: replace(task) for task in chosen}
        self.textless = {task.id for task in chosen}
        return {task.id: replace(task, description=None) for task in chosen}

    def add(self, task: Task, entry: HistoryEntry, *, told: bool = False) -> None:
        """Keep a copy for `commit`."""
        self.added.append(replace(task))
        if told and task.due_date is not None and task.due_date < self.store.clock():
            self.told.add((task.id, task.due_date))
        self.save(task, entry)

    def save(self, task: Task, entry: HistoryEntry) -> None:
        """Keep a copy for `commit`."""
        stored = self.store.tasks.get(task.id)
        if stored is not None and task.id in self.textless and task.description is None:
            task = replace(task, description=stored.description)
        self.written.append((replace(task), entry))

    async def tell_overdue(self, ids: Sequence[UUID], *, max_tries: int) -> Sequence[UUID]:
        """Choose tasks that fell overdue, and keep their marks and ledger entries for `commit`."""
        now = self.store.clock()
        chosen = self._untold(now)[: len(ids)]
        for id, (due_date, task_id) in zip(ids, chosen, strict=False):
            self.told.add((task_id, due_date))
            payload = {"due_date": as_text(due_date) or ""}
            entry = LedgerEntry.create(
                id=id,
                kind=JobKind.TASK_OVERDUE,
                now=now,
                subject=task_id,
                payload=payload,
                max_tries=max_tries,
            )
            self.told_by.append(entry)
        return ids[: len(chosen)]

    def _untold(self, now: datetime) -> list[tuple[datetime, UUID]]:
        """Return due date and id of what is overdue and was not told of, the longest overdue first."""
        live = [task for task in self.store.tasks.values() if task.deleted_at is None]
        overdue = [(task.due_date, task.id) for task in live if task.due_date and task.is_overdue(now)]
        told = self.told | {
            (id, due_date) for id, due_dates in self.store.told.items() for due_date in due_dates
        }
        return sorted((due_date, id) for due_date, id in overdue if (id, due_date) not in told)

    def rearm(self, task_id: UUID, due_date: datetime) -> None:
        """Keep for `commit` what is to be forgotten."""
        self.rearmed.add((task_id, due_date))

    def write(self) -> None:
        """Write what was kept for `commit`."""
        for task, entry in self.written:
            self.store.put_task(task, entry)
        for task_id, due_date in self.told:
            self.store.put_told(task_id, due_date)
        for task_id, due_date in self.rearmed:
            self.store.forget_told(task_id, due_date)
        self.store.ledger |= {job.id: job for job in self.told_by}


@dataclass(slots=True)
class MemoryUserRepository:
    """The users of one unit of work (port `UserRepository`)."""

    store: MemoryStore
    written: dict[UUID, User] = field(default_factory=dict)

    async def load(self, user_id: UUID) -> User | None:
        """Return a copy; the unit alone is the lock."""
        user = self.store.live_user(user_id)
        return None if user is None else replace(user)

    async def load_many(self, ids: Collection[UUID], *, and_admins: bool = False) -> Mapping[UUID, User]:
        """Return copies; the unit alone is the lock."""
        admins = [user.id for user in self.store.users.values() if and_admins and user.role is Role.ADMIN]
        found = (self.store.live_user(id) for id in [*ids, *admins])
        return {user.id: replace(user) for user in found if user is not None}

    def add(self, user: User) -> None:
        """Keep a copy for `commit`."""
        self.written[user.id] = replace(user)

    def save(self, user: User) -> None:
        """Keep a copy for `commit`."""
        self.written[user.id] = replace(user)
