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
    EventType,
    FieldChange,
    HistoryEntry,
    LedgerEntry,
    Origin,
    Priority,
    Role,
    SecurityEvent,
    Session,
    Status,
    Task,
    UseCases,
    User,
)
from taskflow_core.sessions import GRACE
from taskflow_memory import (
    MemoryClaims,
    MemoryCommonPasswords,
    MemoryIdentities,
    MemoryLedgerReads,
    MemoryLoginAttempts,
    MemoryNotifier,
    MemoryPasswords,
    MemoryQueue,
    MemoryReads,
    MemoryRefreshTokens,
    MemorySessionReads,
    MemoryStore,
    MemoryTokens,
    MemoryTransactions,
)
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


def new_session(user_id: UUID, **given: Any) -> Session:
    fields: dict[str, Any] = {
        "id": new_id(given.get("created_at")),
        "user_id": user_id,
        "seed": b"seed" * 8,
        "origin": Origin(),
        "created_at": NOW,
        "last_used_at": given.get("created_at", NOW),
    }
    return Session(**fields | given)


def new_event(user_id: UUID, **given: Any) -> SecurityEvent:
    fields: dict[str, Any] = {
        "id": new_id(given.get("at")),
        "type": EventType.NEW_DEVICE,
        "at": NOW,
        "user_id": user_id,
        "detail": {},
    }
    return SecurityEvent(**fields | given)


def new_job(kind: str = "kind", **given: Any) -> LedgerEntry:
    fields: dict[str, Any] = {
        "id": new_id(given.get("created_at")),
        "kind": kind,
        "subject": None,
        "payload": {},
        "created_at": NOW,
        "run_at": given.get("created_at", NOW),
    }
    return LedgerEntry(**fields | given)


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
    refresh_grace: timedelta = GRACE
    chance: float = 0.5

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.reads = MemoryReads(self.store)
        self.session_reads = MemorySessionReads(self.store)
        self.queue = MemoryQueue()
        self.transactions = MemoryTransactions(self.store, self.queue)
        self.notifier = MemoryNotifier()
        self.attempts = MemoryLoginAttempts(self.store)
        self.passwords = MemoryPasswords()
        self.tokens = MemoryTokens()
        self.refresh_tokens = MemoryRefreshTokens()
        self.use_cases = UseCases.over(
            transactions=self.transactions,
            task_reads=self.reads,
            user_reads=self.reads,
            session_reads=self.session_reads,
            identities=MemoryIdentities(self.store),
            attempts=self.attempts,
            passwords=self.passwords,
            common=MemoryCommonPasswords(),
            tokens=self.tokens,
            refresh_tokens=self.refresh_tokens,
            clock=self.clock,
            ids=Uuid7(),
            claims=MemoryClaims(self.store),
            ledger_reads=MemoryLedgerReads(self.store),
            queue=self.queue,
            notifier=self.notifier,
            chance=lambda: self.chance,
            refresh_grace=self.refresh_grace,
        )

    def add_user(self, role: Role = Role.USER, **given: Any) -> User:
        user = new_user(role=role, **given)
        self.store.put_user(user)
        return user

    def add_task(self, owner: UUID, **given: Any) -> Task:
        task = new_task(owner, **given)
        self.store.put_task(task, entry_of(task))
        return task

    def add_session(self, user_id: UUID, **given: Any) -> Session:
        session = new_session(user_id, **given)
        self.store.put_session(session)
        return session

    def add_job(self, kind: str = "kind", **given: Any) -> LedgerEntry:
        job = new_job(kind, **given)
        self.store.ledger[job.id] = job
        return job

    def jobs(self, kind: str | None = None) -> list[LedgerEntry]:
        """All background work there is (of a kind), oldest first."""
        entries = sorted(self.store.ledger.values(), key=lambda entry: entry.id)
        return [entry for entry in entries if kind in (None, entry.kind)]

    def events(self) -> list[SecurityEvent]:
        """All that happened, oldest first."""
        return sorted(self.store.events.values(), key=lambda event: event.id)

    def history(self, task_id: UUID) -> list[HistoryEntry]:
        return self.store.history[task_id]


def actor(user: User, request_id: str | None = None, session_id: UUID | None = None) -> Actor:
    return Actor.of(user.id, user.role, request_id, session_id)
