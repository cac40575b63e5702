"""Users, tasks and a world to put them in, for tests. It needs no third-party package."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from taskflow_core import (
    Action,
    Actor,
    FieldChange,
    HistoryEntry,
    Priority,
    Role,
    Status,
    Task,
    UseCases,
    User,
)
from taskflow_memory import MemoryPasswords, MemoryReads, MemoryStore, MemoryTokens, MemoryTransactions
from taskflow_system import Uuid7

NOW = datetime(2026, 11, 3, 9, 30, 15, 123_000, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=400)
PASSWORD = "correct horse battery staple"
OPERATOR = Actor.operator()

_ids = Uuid7()
_numbers = itertools.count(1)


def new_id(at: datetime | None = None) -> UUID:
    """A new id: greater than those before it, or of the time that is given."""
    return _ids(NOW) if at is None else Uuid7()(at)


def new_user(**given: Any) -> User:
    fields: dict[str, Any] = {
        "id": new_id(given.get("created_at")),
        "email": f"person{next(_numbers)}@example.com",
        "name": "A Person",
        "password_hash": "not a hash",
        "role": Role.USER,
        "active": True,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return User(**fields | given)


def new_task(owner: UUID, **given: Any) -> Task:
    fields: dict[str, Any] = {
        "id": new_id(given.get("created_at")),
        "user_id": owner,
        "title": "A task",
        "description": None,
        "status": Status.PENDING,
        "priority": Priority.MEDIUM,
        "due_date": None,
        "created_at": NOW,
        "updated_at": NOW,
    }
    if given.get("status") is Status.COMPLETED:
        fields["completed_at"] = NOW
    return Task(**fields | given)


def entry_of(task: Task, **given: Any) -> HistoryEntry:
    """An entry that tells of the task's present version."""
    changes: Mapping[str, FieldChange] = {"title": FieldChange(None, task.title)}
    fields: dict[str, Any] = {
        "id": new_id(),
        "task_id": task.id,
        "version": task.version,
        "at": task.updated_at,
        "actor_id": task.user_id,
        "action": Action.CREATED,
        "changes": changes,
        "request_id": None,
    }
    return HistoryEntry(**fields | given)


@dataclass
class SettableClock:
    """A clock that stands until it is moved."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta = timedelta(seconds=1)) -> datetime:
        self.now += by
        return self.now


@dataclass
class World:
    """TaskFlow in memory, with its time in the test's hand."""

    clock: SettableClock = field(default_factory=SettableClock)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.reads = MemoryReads(self.store)
        self.transactions = MemoryTransactions(self.store)
        self.passwords = MemoryPasswords()
        self.tokens = MemoryTokens()
        self.use_cases = UseCases.over(
            transactions=self.transactions,
            task_reads=self.reads,
            user_reads=self.reads,
            passwords=self.passwords,
            tokens=self.tokens,
            clock=self.clock,
            ids=Uuid7(),
        )

    def add_user(self, role: Role = Role.USER, **given: Any) -> User:
        user = new_user(role=role, **given)
        self.store.put_user(user)
        return user

    def add_task(self, owner: UUID, **given: Any) -> Task:
        task = new_task(owner, **given)
        self.store.put_task(task, entry_of(task))
        return task

    def history(self, task_id: UUID) -> list[HistoryEntry]:
        return self.store.history[task_id]


def actor(user: User, request_id: str | None = None) -> Actor:
    return Actor.of(user.id, user.role, request_id)
