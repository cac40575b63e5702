"""What is kept: dictionaries of copies, so that what was handed out can be changed without harm."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from taskflow_core.idempotency import KEPT_FOR
from taskflow_core.use_cases.ledger import clean_up, reconcile
from taskflow_core.use_cases.tasks import notify_overdue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from taskflow_core import End, HistoryEntry, LedgerEntry, Once, SecurityEvent, Session, Task, User

SCANS: Final = (reconcile.SCAN, notify_overdue.SCAN, clean_up.SCAN)
_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


def system_time() -> datetime:
    """Return the machine's time in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An idempotency key whose request was answered.

    Attributes:
        at: When that was committed.
    """

    fingerprint: bytes
    answer: bytes
    at: datetime


@dataclass(slots=True)
class MemoryStore:
    """Users, tasks, sessions and background work, in this process and for one event loop.

    Attributes:
        clock: The store's own time, as a database server has one; what lives and expires goes by it.
        history: By task, oldest first.
        data_versions: By owner; see `data_version`.
        attempts: Tries to log in by subject: how many in a row, and when the last was.
        told: By task, the due dates that an owner was told of, in that order.
        scans: By name, when each is due.
        keys: Idempotency keys by owner and key.
        refunds: How many there are of each sample.
        lock: Held by the one unit of work that is open.
    """

    clock: Callable[[], datetime] = system_time
    users: dict[UUID, User] = field(default_factory=dict)
    tasks: dict[UUID, Task] = field(default_factory=dict)
    history: dict[UUID, list[HistoryEntry]] = field(default_factory=dict)
    data_versions: dict[UUID, int] = field(default_factory=dict)
    sessions: dict[UUID, Session] = field(default_factory=dict)
    events: dict[UUID, SecurityEvent] = field(default_factory=dict)
    attempts: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    ledger: dict[UUID, LedgerEntry] = field(default_factory=dict)
    told: dict[UUID, list[datetime]] = field(default_factory=dict)
    scans: dict[str, datetime] = field(default_factory=lambda: dict.fromkeys(SCANS, _ALWAYS))
    keys: dict[tuple[UUID, str], StoredKey] = field(default_factory=dict)
    refunds: Counter[UUID] = field(default_factory=Counter)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def data_version(self, owner: UUID) -> int:
        """Return the number that moves with each change of this owner's tasks, from 0."""
        return self.data_versions.get(owner, 0)

    def live_user(self, user_id: UUID) -> User | None:
        """Return the stored account itself, unless it is marked as deleted."""
        user = self.users.get(user_id)
        return None if user is None or user.deleted_at is not None else user

    def live_users(self) -> list[User]:
        """Return the stored accounts themselves, those marked as deleted aside."""
        return [user for user in self.users.values() if user.deleted_at is None]

    def sessions_of(self, user_id: UUID) -> list[Session]:
        """Return the stored sessions themselves, those that are over too."""
        return [session for session in self.sessions.values() if session.user_id == user_id]

    def live_key(self, once: Once) -> StoredKey | None:
        """Return what is kept of a request, unless that was too long ago."""
        kept = self.keys.get((once.owner, once.key))
        return None if kept is None or self.clock() - kept.at > KEPT_FOR else kept

    def put_task(self, task: Task, entry: HistoryEntry) -> None:
        """Keep copies of both, and move the versions of whoever's data that changes."""
        before = self.tasks.get(task.id)
        for owner in {task.user_id} if before is None else {task.user_id, before.user_id}:
            self.data_versions[owner] = self.data_version(owner) + 1
        self.tasks[task.id] = replace(task)
        self.history.setdefault(task.id, []).append(copied(entry))

    def put_told(self, task_id: UUID, due_date: datetime) -> None:
        """Keep a due date that an owner was told of."""
        self.told[task_id] = [*self.told.get(task_id, ()), due_date][-notify_overdue.TOLD_KEPT :]

    def forget_told(self, task_id: UUID, due_date: datetime) -> None:
        """Forget that an owner was told of this due date."""
        kept = [told for told in self.told.pop(task_id, ()) if told != due_date]
        if kept:
            self.told[task_id] = kept

    def remove_tasks(self, tasks: Sequence[UUID]) -> None:
        """Forget deleted tasks for good, and move the versions of their owners' data."""
        for owner in {self.tasks[id].user_id for id in tasks}:
            self.data_versions[owner] = self.data_version(owner) + 1
        self.remove(tasks, ())

    def put_user(self, user: User) -> None:
        """Keep a copy."""
        self.users[user.id] = replace(user)

    def put_session(self, session: Session) -> None:
        """Keep a copy."""
        self.sessions[session.id] = replace(session)

    def end_sessions(self, user_id: UUID, end: End, now: datetime, but: UUID | None) -> None:
        """End what of a user's sessions has not ended, but one."""
        for session in self.sessions_of(user_id):
            if session.id != but:
                session.finish(end, now)

    def put_event(self, event: SecurityEvent) -> None:
        """Keep a copy."""
        self.events[event.id] = replace(event, detail=dict(event.detail))

    def remove(self, tasks: Sequence[UUID], users: Sequence[UUID]) -> None:
        """Forget these for good, with all that belongs to them."""
        for task_id in tasks:
            del self.tasks[task_id]
            del self.history[task_id]
        for user_id in users:
            del self.users[user_id]
            self.data_versions.pop(user_id, None)
        self.told = {id: due_dates for id, due_dates in self.told.items() if id in self.tasks}
        gone = set(users)
        self.sessions = {id: session for id, session in self.sessions.items() if session.user_id not in gone}
        self.events = {id: event for id, event in self.events.items() if event.user_id not in gone}
        self.keys = {place: key for place, key in self.keys.items() if place[0] not in gone}

    def remove_jobs(self, jobs: Sequence[UUID]) -> None:
        """Forget background work for good, with its refunds."""
        for job_id in jobs:
            self.ledger.pop(job_id, None)
            self.refunds.pop(job_id, None)


def copied(entry: HistoryEntry) -> HistoryEntry:
    """Return an entry that shares nothing changeable with `entry`."""
    return replace(entry, changes=dict(entry.changes))


def copied_job(entry: LedgerEntry) -> LedgerEntry:
    """Return an entry that shares nothing changeable with `entry`."""
    return replace(entry, payload=dict(entry.payload))
