"""Units of work over the dictionaries, one at a time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core import (
    EmailTaken,
    InvalidCredentials,
    KeyReused,
    NotFound,
    QuotaExceeded,
    Replayed,
    UnknownOwner,
)
from taskflow_core.quota import NO_QUOTA, Quota
from taskflow_memory.ledger import MemoryLedgerRepository, MemorySamples, MemoryScans
from taskflow_memory.repositories import MemoryTaskRepository, MemoryUserRepository
from taskflow_memory.sessions import MemoryEventLog, MemorySessionRepository
from taskflow_memory.store import StoredKey
from taskflow_memory.upkeep import MemoryUpkeep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from uuid import UUID

    from taskflow_core import Once, Task, User
    from taskflow_core.ports.queue import Queue
    from taskflow_memory.store import MemoryStore


@dataclass(frozen=True, slots=True)
class MemoryTransactions:
    """Opens units of work (port `Transactions`), serially: one waits until the one before has ended.

    So a unit inside a unit of the same task waits for ever, and neither `Contention` nor
    `RequestInProgress` ever happens.

    Attributes:
        queue: What is hinted at committed work; None where nobody waits for hints.
    """

    store: MemoryStore
    queue: Queue | None = None
    quota: Quota = NO_QUOTA

    @asynccontextmanager
    async def __call__(self, once: Once | None = None) -> AsyncIterator[MemoryTransaction]:
        """Enter a unit; nothing of it reaches the store but by `commit`."""
        async with self.store.lock:
            yield MemoryTransaction(self.store, self.queue, once, self.quota)


class MemoryTransaction:
    """A unit of work (port `Transaction`)."""

    def __init__(
        self,
        store: MemoryStore,
        queue: Queue | None = None,
        once: Once | None = None,
        quota: Quota = NO_QUOTA,
    ) -> None:
        self._quota = quota
        self._store, self._queue, self._once = store, queue, once
        self._kept = None if once is None else store.live_key(once)
        if once is not None and self._kept is not None and self._kept.fingerprint != once.fingerprint:
            raise KeyReused
        self._begin()

    def _begin(self) -> None:
        self.tasks = MemoryTaskRepository(self._store)
        self.users = MemoryUserRepository(self._store)
        self.sessions = MemorySessionRepository(self._store)
        self.events = MemoryEventLog()
        self.ledger = MemoryLedgerRepository(self._store)
        self.scans = MemoryScans(self._store)
        self.upkeep = MemoryUpkeep(self._store)
        self.samples = MemorySamples()

    def replay(self) -> None:
        """Raise `Replayed` where this request was answered before."""
        if self._kept is not None:
            raise Replayed(self._kept.answer)

    async def flush(self) -> None:
        """Keep everything for `commit`: the store holds it anyway."""

    async def commit(self, result: object = None) -> None:
        """Write all of it, after everything that could refuse it was asked; then hint at what is due."""
        self.replay()
        self.ledger.refuse_lost()
        self._refuse_taken_emails()
        self._refuse_unknown_owners()
        self._refuse_beyond_quota()
        self._refuse_credentials()
        self._refuse_events_of_nobody()
        answer = None if self._once is None else self._once.render(result)
        hints = self._write(answer)
        self._begin()
        if hints and self._queue is not None:
            self._queue.hint(hints)

    def _write(self, answer: bytes | None) -> list[UUID]:
        """Write all of it; return what is to be hinted."""
        now = self._store.clock()
        for user in self.users.written.values():
            self._store.put_user(user)
        self.sessions.write()
        self.tasks.write()
        for event in self.events.written:
            self._store.put_event(event)
        hints = self.ledger.write(now)
        self.scans.write(now)
        self._store.refunds.update(self.samples.refunded)
        if self._once is not None and answer is not None:
            place = self._once.owner, self._once.key
            self._store.keys[place] = StoredKey(self._once.fingerprint, answer, now)
            self._once = None
        self.upkeep.write()
        return hints

    def _refuse_taken_emails(self) -> None:
        written = self.users.written
        after = {user.id: user for user in self._store.users.values()} | written
        emails = [user.email for user in after.values() if user.deleted_at is None]
        if written and len(set(emails)) < len(emails):
            raise EmailTaken

    def _refuse_unknown_owners(self) -> None:
        for owner in {task.user_id for task in self.tasks.added}:
            if self._live_user(owner) is None:
                raise UnknownOwner

    def _refuse_beyond_quota(self) -> None:
        if self._quota == NO_QUOTA:
            return
        before = self._store.tasks
        after = before | {task.id: task for task, _ in self.tasks.written}
        for owner in {task.user_id for task, _ in self.tasks.written}:
            if self._quota.refuses(_kept(before, owner), _kept(after, owner)):
                raise QuotaExceeded

    def _refuse_credentials(self) -> None:
        for session, password_version in self.sessions.opened:
            user = self._live_user(session.user_id)
            if user is None or not user.active or user.password_version != password_version:
                raise InvalidCredentials

    def _refuse_events_of_nobody(self) -> None:
        known = self._store.users.keys() | self.users.written.keys()
        if any(event.user_id not in known for event in self.events.written):
            raise NotFound

    def _live_user(self, user_id: UUID) -> User | None:
        """Return the account as it is to be after this unit, unless it is marked as deleted."""
        user = self.users.written.get(user_id) or self._store.live_user(user_id)
        return None if user is None or user.deleted_at is not None else user


def _kept(tasks: Mapping[UUID, Task], owner: UUID) -> tuple[int, int]:
    texts = [task.title + (task.description or "") for task in tasks.values() if task.user_id == owner]
    return len(texts), sum(len(text.encode()) for text in texts)
