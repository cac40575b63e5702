"""The truth: units of work for commands, and a read side for queries.

Failures of every method: `Unavailable` where the store cannot be reached or has no connection
left, `DeadlineExceeded` where a statement took longer than one may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.queries import HistoryPage, HistoryQuery, Page, TaskQuery, UserQuery
    from taskflow_core.tasks import HistoryEntry, Task, TaskStats, TaskView
    from taskflow_core.users import Credentials, User, UserView


class TaskRepository(Protocol):
    """The tasks of one unit of work."""

    async def load(self, ids: Collection[UUID], *, and_owners: Collection[UUID] = ()) -> Mapping[UUID, Task]:
        """Return those of the tasks that exist, deleted ones too, locked until the end of the unit.

        Tasks of accounts marked as deleted do not exist here, though they wait for `UserRepository.purge`.
        Their owners are locked before them, and so are `and_owners` (who are to get tasks):
        owners in id order, then tasks in id order, so that no two units deadlock.
        Call it once in a unit, before anything is added or saved.

        Raises:
            UnknownOwner: One of `and_owners` does not exist.
            Contention: The locks could not be had in order; nothing was changed.
        """
        ...

    def add(self, task: Task, entry: HistoryEntry) -> None:
        """Keep a new task and its first history entry; written by `commit`."""
        ...

    def save(self, task: Task, entry: HistoryEntry) -> None:
        """Keep a loaded task as it is now, and the entry that tells what changed; written by `commit`."""
        ...


class UserRepository(Protocol):
    """The users of one unit of work; accounts marked as deleted are in none of its answers."""

    async def load(self, user_id: UUID) -> User | None:
        """Return the user, locked until the end of the unit."""
        ...

    async def load_with_admins(self, user_id: UUID) -> tuple[User | None, int]:
        """Return the user and how many *other* active admins there are, all of them locked in id order.

        So the number stays true until the end of the unit: whoever demotes, deactivates or
        deletes an admin goes through here.
        """
        ...

    def add(self, user: User) -> None:
        """Keep a new user; `commit` writes it, or raises `EmailTaken` where a live account has the email."""
        ...

    def save(self, user: User) -> None:
        """Keep a loaded user as it is now; written by `commit`, which may raise `EmailTaken`."""
        ...

    async def purge(self, *, limit: int) -> int:
        """Remove up to `limit` tasks of accounts marked as deleted, and those accounts that have none left.

        Waits for nobody: rows that others hold are left for the next time.

        Returns:
            How many rows went, users and tasks; 0 once nothing is left that is not held by others.
        """
        ...


class Transaction(Protocol):
    """A unit of work: all of it is kept, or nothing."""

    @property
    def tasks(self) -> TaskRepository:
        """Its tasks."""
        ...

    @property
    def users(self) -> UserRepository:
        """Its users."""
        ...

    async def commit(self) -> None:
        """Write what was added and saved, and make it last.

        The owner's data version moves with each change of that owner's tasks, both owners'
        where a task moves from one to the other.

        Raises:
            EmailTaken: See `UserRepository`.
            UnknownOwner: The owner of a new task does not exist (any more).
            Contention: It lost a race for locks; nothing was changed.
        """
        ...


class Transactions(Protocol):
    """Opens units of work."""

    def __call__(self) -> AbstractAsyncContextManager[Transaction]:
        """Return a unit to enter; leaving it without `commit` takes everything back."""
        ...


class TaskReads(Protocol):
    """Questions about tasks; each is one snapshot and sees every acknowledged write.

    Tasks of an account marked as deleted may be in the answers until they are purged.
    """

    async def task(self, task_id: UUID, *, owner: UUID | None) -> TaskView | None:
        """Return the live task, where it is `owner`'s (None: whosever it is)."""
        ...

    async def tasks(self, query: TaskQuery, now: datetime) -> Page[TaskView]:
        """Return a page; "overdue" is as of the position where the query has one, else as of `now`."""
        ...

    async def stats(self, owner: UUID | None, now: datetime) -> TaskStats:
        """Count the live tasks of `owner` (None: everyone's)."""
        ...

    async def history(self, query: HistoryQuery, *, owner: UUID | None) -> HistoryPage[HistoryEntry] | None:
        """Return entries of a live task, newest first; None where the task is not there or not `owner`'s."""
        ...


class UserReads(Protocol):
    """Questions about users; accounts marked as deleted are in no answer."""

    async def user(self, user_id: UUID) -> UserView | None:
        """Return the user."""
        ...

    async def users(self, query: UserQuery, now: datetime) -> Page[UserView]:
        """Return a page."""
        ...

    async def credentials(self, email: str) -> Credentials | None:
        """Return what signing in needs; `email` is as `check_email` returns it."""
        ...
