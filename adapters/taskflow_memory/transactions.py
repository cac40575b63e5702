"""Units of work over the dictionaries, one at a time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskflow_core import EmailTaken, InvalidCredentials, NotFound, UnknownOwner
from taskflow_memory.sessions import MemoryEventLog, MemorySessionRepository

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping
    from uuid import UUID

    from taskflow_core import HistoryEntry, Task, User
    from taskflow_memory.store import MemoryStore


@dataclass(frozen=True, slots=True)
class MemoryTransactions:
    """Opens units of work (port `Transactions`), serially: one waits until the one before has ended.

    So a unit inside a unit of the same task waits for ever, and `Contention` never happens.
    """

    store: MemoryStore

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[MemoryTransaction]:
        """Enter a unit; nothing of it reaches the store but by `commit`."""
        async with self.store.lock:
            yield MemoryTransaction(self.store)


class MemoryTransaction:
    """A unit of work (port `Transaction`)."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._begin()

    def _begin(self) -> None:
        self.tasks = MemoryTaskRepository(self._store)
        self.users = MemoryUserRepository(self._store)
        self.sessions = MemorySessionRepository(self._store)
        self.events = MemoryEventLog()

    async def commit(self) -> None:
        """Write all of it, after everything that could refuse it was asked."""
        self._refuse_taken_emails()
        self._refuse_unknown_owners()
        self._refuse_credentials()
        self._refuse_events_of_nobody()
        for user in self.users.written.values():
            self._store.put_user(user)
        self.sessions.write()
        for task, entry in self.tasks.written:
            self._store.put_task(task, entry)
        for event in self.events.written:
            self._store.put_event(event)
        self._store.remove(self.users.purged_tasks, self.users.purged_users)
        self._begin()

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


@dataclass(slots=True)
class MemoryTaskRepository:
    """The tasks of one unit of work (port `TaskRepository`)."""

    store: MemoryStore
    added: list[Task] = field(default_factory=list)
    written: list[tuple[Task, HistoryEntry]] = field(default_factory=list)

    async def load(self, ids: Collection[UUID], *, and_owners: Collection[UUID] = ()) -> Mapping[UUID, Task]:
        """Return copies; the unit alone is the lock."""
        if any(self.store.live_user(owner) is None for owner in and_owners):
            raise UnknownOwner
        found = (self.store.tasks[id] for id in ids if id in self.store.tasks)
        return {task.id: replace(task) for task in found if self.store.live_user(task.user_id)}

    def add(self, task: Task, entry: HistoryEntry) -> None:
        """Keep a copy for `commit`."""
        self.added.append(replace(task))
        self.save(task, entry)

    def save(self, task: Task, entry: HistoryEntry) -> None:
        """Keep a copy for `commit`."""
        self.written.append((replace(task), entry))


@dataclass(slots=True)
class MemoryUserRepository:
    """The users of one unit of work (port `UserRepository`)."""

    store: MemoryStore
    written: dict[UUID, User] = field(default_factory=dict)
    purged_tasks: list[UUID] = field(default_factory=list)
    purged_users: list[UUID] = field(default_factory=list)

    async def load(self, user_id: UUID) -> User | None:
        """Return a copy; the unit alone is the lock."""
        user = self.store.live_user(user_id)
        return None if user is None else replace(user)

    async def load_with_admins(self, user_id: UUID) -> tuple[User | None, int]:
        """Return a copy and the number of the other active admins."""
        others = sum(user.administers and user.id != user_id for user in self.store.users.values())
        return await self.load(user_id), others

    def add(self, user: User) -> None:
        """Keep a copy for `commit`."""
        self.written[user.id] = replace(user)

    def save(self, user: User) -> None:
        """Keep a copy for `commit`."""
        self.written[user.id] = replace(user)

    async def purge(self, *, limit: int) -> int:
        """Choose what `commit` removes."""
        marked = {user.id for user in self.store.users.values() if user.deleted_at is not None}
        owned = {task.id: task.user_id for task in self.store.tasks.values() if task.user_id in marked}
        tasks = [id for id in owned if id not in self.purged_tasks][:limit]
        self.purged_tasks += tasks
        kept = {owner for id, owner in owned.items() if id not in self.purged_tasks}
        users = [id for id in marked if id not in kept and id not in self.purged_users]
        self.purged_users += users
        return len(tasks) + len(users)
