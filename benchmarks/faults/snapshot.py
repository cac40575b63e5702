"""What is in the database once everything has settled."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import class_row, tuple_row

from taskflow_core import Priority


@dataclass(slots=True, kw_only=True)
class TaskRow:
    """A task; deleted ones too."""

    id: UUID
    user_id: UUID
    title: str
    description: str | None
    status: str
    priority: int
    due_date: datetime | None
    updated_at: datetime
    completed_at: datetime | None
    deleted_at: datetime | None
    version: int

    @property
    def fields(self) -> dict[str, object]:
        """What history tells of, with its values."""
        names = ("title", "description", "status", "due_date", "user_id")
        priority = next(each for each in Priority if each.rank == self.priority)
        return {name: getattr(self, name) for name in names} | {"priority": priority}


@dataclass(slots=True, kw_only=True)
class EntryRow:
    """One step of a task. `changes` has, by field, what it was and what it is."""

    task_id: UUID
    version: int
    at: datetime
    actor_id: UUID | None
    action: str
    changes: Mapping[str, list[str | None]]
    request_id: str | None


@dataclass(slots=True, kw_only=True)
class JobRow:
    """One row of the ledger."""

    id: UUID
    kind: str
    subject: UUID | None
    payload: Mapping[str, str]
    state: str
    tries: int
    max_tries: int
    fence: int
    run_at: datetime
    lease_until: datetime | None
    error: str | None
    finished_at: datetime | None
    request_id: str | None

    def __str__(self) -> str:
        told = f"{self.kind} {self.id} of request {self.request_id} is {self.state}, try {self.tries}"
        return f"{told} of {self.max_tries}{f': {self.error}' if self.error else ''}"


@dataclass(slots=True, kw_only=True)
class EventRow:
    """One security event."""

    user_id: UUID
    type: str
    at: datetime


@dataclass(slots=True)
class Snapshot:
    """The database at one moment.

    Attributes:
        at: That moment.
        history: Of each task, in the order of its versions.
        refunds: How many each sample job left.
        keys: Idempotency keys whose answer is kept, with whose they are.
        without_answer: Keys that are kept without.
        told: Addresses of who wants to be told, by user.
    """

    at: datetime
    tasks: dict[UUID, TaskRow] = field(default_factory=dict)
    history: dict[UUID, list[EntryRow]] = field(default_factory=dict)
    jobs: dict[UUID, JobRow] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)
    refunds: Counter[UUID] = field(default_factory=Counter)
    keys: Counter[tuple[UUID, str]] = field(default_factory=Counter)
    without_answer: int = 0
    told: dict[UUID, str] = field(default_factory=dict)


_TASKS: Final = (
    "SELECT id, user_id, title, description, status, priority, due_date, updated_at, completed_at, "
    "deleted_at, version FROM tasks"
)
_HISTORY: Final = (
    "SELECT task_id, version, at, actor_id, action, changes, request_id FROM task_history "
    "ORDER BY task_id, version"
)
_JOBS: Final = (
    "SELECT id, kind, subject, payload, state, tries, max_tries, fence, run_at, lease_until, error, "
    "finished_at, request_id FROM ledger"
)


@contextmanager
def opened(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Yield a connection that sees all as of one moment; nothing of it is kept."""
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield connection
        connection.rollback()


def read(connection: psycopg.Connection[Any]) -> Snapshot:
    """Return what is there."""
    found = Snapshot(_rows(connection, "SELECT now()")[0][0])
    tasks = connection.cursor(row_factory=class_row(TaskRow)).execute(_TASKS)
    found.tasks = {task.id: task for task in tasks}
    history = defaultdict(list)
    for entry in connection.cursor(row_factory=class_row(EntryRow)).execute(_HISTORY):
        history[entry.task_id].append(entry)
    found.history = dict(history)
    jobs = connection.cursor(row_factory=class_row(JobRow)).execute(_JOBS)
    found.jobs = {job.id: job for job in jobs}
    events = connection.cursor(row_factory=class_row(EventRow))
    found.events = events.execute("SELECT user_id, type, at FROM security_events").fetchall()
    found.refunds = Counter(id for (id,) in _rows(connection, "SELECT job_id FROM sample_refunds"))
    keys = _rows(connection, "SELECT user_id, key, answer IS NOT NULL FROM idempotency_keys")
    found.keys = Counter((user, key) for user, key, answered in keys if answered)
    found.without_answer = len(keys) - found.keys.total()
    found.told = dict(_rows(connection, "SELECT id, email FROM users WHERE notifications AND active"))
    return found


def _rows(connection: psycopg.Connection[Any], statement: str) -> list[tuple[Any, ...]]:
    return connection.cursor(row_factory=tuple_row).execute(statement).fetchall()
