"""The truth: units of work for commands, and a read side for queries.

Failures of every method: `Unavailable` where the store cannot be reached or has no connection
left, `DeadlineExceeded` where a statement took longer than one may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.idempotency import Once
    from taskflow_core.ports.ledger import LedgerRepository, Samples, Scans, Upkeep
    from taskflow_core.ports.security import TokenClaims
    from taskflow_core.queries import HistoryPage, HistoryQuery, Page, TaskQuery, UserQuery
    from taskflow_core.security_events import EventQuery, SecurityEvent
    from taskflow_core.sessions import End, Identity, Origin, Session, SessionView
    from taskflow_core.tasks import HistoryEntry, Task, TaskStats, TaskView
    from taskflow_core.throttle import Attempt
    from taskflow_core.users import Credentials, User, UserView


class TaskRepository(Protocol):
    """The tasks of one unit of work."""

    async def load(
        self,
        ids: Collection[UUID],
        *,
        and_owners: Collection[UUID] = (),
        of_owner: UUID | None = None,
        texts: bool = True,
    ) -> Mapping[UUID, Task]:
        """Return those of the tasks that exist, deleted ones too, locked until the end of the unit.

        With `of_owner`, tasks of other owners are neither returned nor locked nor waited for: a caller who
        may not see a task must not wait for those who may.
        Without `texts` descriptions are not read: they are None, and `save` leaves the stored ones alone.

        Tasks of accounts marked as deleted do not exist here, though they wait for `Upkeep.remove`.
        Their owners are locked before them, and so are `and_owners` (who are to get tasks):
        owners in id order, then tasks in id order, so that no two units deadlock.
        Call it before anything is added or saved. Call it again only for tasks that it locked already, when
        what was saved is flushed.

        Raises:
            UnknownOwner: One of `and_owners` does not exist.
            Contention: The locks could not be had in order; nothing was changed.
        """
        ...

    def add(self, task: Task, entry: HistoryEntry, *, told: bool = False) -> None:
        """Keep a new task and its first history entry; written by `commit`.

        With `told` it counts as told of for its due date, where that has passed by the store's time.
        """
        ...

    def save(self, task: Task, entry: HistoryEntry) -> None:
        """Keep a loaded task as it is now, and the entry that tells what changed; written by `commit`."""
        ...

    async def tell_overdue(self, ids: Sequence[UUID], *, max_tries: int) -> Sequence[UUID]:
        """Mark tasks as told of that are overdue by the store's time, never told of for this due date.

        Up to one for each of `ids`, the longest overdue first, past those that others hold; for each there is
        a ledger entry of kind `JobKind.TASK_OVERDUE` by one of these ids, with the task as its subject and
        `due_date` (`tasks.as_text`) in its payload, all in one statement. The last
        `notify_overdue.TOLD_KEPT` due dates that a task was told of stay marked, whatever it is moved to.
        Neither versions nor history move.

        Returns:
            The ids that were taken.
        """
        ...

    def rearm(self, task_id: UUID, due_date: datetime) -> None:
        """Have `commit` forget that a task was told of for this due date, and for no other."""
        ...


class UserRepository(Protocol):
    """The users of one unit of work; accounts marked as deleted are in none of its answers."""

    async def load(self, user_id: UUID) -> User | None:
        """Return the user, locked until the end of the unit."""
        ...

    async def load_many(self, ids: Collection[UUID], *, and_admins: bool = False) -> Mapping[UUID, User]:
        """Return those of the users that exist by id, locked in id order until the end of the unit.

        With `and_admins` all admins are among them, the inactive ones too, so that their number stays true:
        whoever demotes, deactivates or deletes an admin goes through here.
        """
        ...

    def add(self, user: User) -> None:
        """Keep a new user; `commit` writes it, or raises `EmailTaken` where a live account has the email."""
        ...

    def save(self, user: User) -> None:
        """Keep a loaded user as it is now; written by `commit`, which may raise `EmailTaken`."""
        ...


class SessionRepository(Protocol):
    """The sessions of one unit of work. Users are locked before sessions, where both are."""

    async def load(self, session_id: UUID) -> tuple[Session, datetime] | None:
        """Return the session, locked until the end of the unit, and the store's time *after* it was locked.

        By id, never by something that a refresh changes: whoever waited would find nothing.
        """
        ...

    async def load_many(
        self, ids: Collection[UUID], *, of_owner: UUID | None = None
    ) -> tuple[Mapping[UUID, Session], datetime]:
        """Return those of the sessions that exist by id, locked in id order, and the time; see `load`.

        With `of_owner`, sessions of other users are neither returned nor locked nor waited for.
        """
        ...

    def open(self, session: Session, *, password_version: int) -> None:
        """Keep a new session for `commit`.

        That raises `InvalidCredentials` where the account is not active any more, or its password is
        not the one that was seen: a log-in cannot slip past a new password.
        """
        ...

    def save(self, session: Session) -> None:
        """Keep a loaded session as it is now; written by `commit`."""
        ...

    def end_all(self, user_id: UUID, end: End, now: datetime, *, but: UUID | None = None) -> None:
        """End all live sessions of a user, but one; done by `commit`, those opened until then among them."""
        ...


class EventLog(Protocol):
    """Security events, kept with what they tell of."""

    def add(self, event: SecurityEvent) -> None:
        """Keep an event; written by `commit`."""
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

    @property
    def sessions(self) -> SessionRepository:
        """Its sessions."""
        ...

    @property
    def events(self) -> EventLog:
        """Its security events."""
        ...

    @property
    def ledger(self) -> LedgerRepository:
        """Its background work."""
        ...

    @property
    def scans(self) -> Scans:
        """What the scheduler does."""
        ...

    @property
    def upkeep(self) -> Upkeep:
        """What is removed for good."""
        ...

    @property
    def samples(self) -> Samples:
        """The demonstration's effect."""
        ...

    def replay(self) -> None:
        """Raise `Replayed` where this request was answered before.

        To be called once who asks is known to be allowed to, and before anything is judged that the request
        itself may have changed, such as versions.
        """
        ...

    async def flush(self) -> None:
        """Write the tasks that were saved so far, inside the unit, and forget them.

        So that a unit that writes many long texts need not hold them all; nothing is kept before `commit`.
        """
        ...

    async def commit(self, result: object = None) -> None:
        """Write what was added and saved, and make it last; then hint the queue of new work.

        The owner's data version moves with each change of that owner's tasks, both owners'
        where a task moves from one to the other.

        Args:
            result: What the use case returns; of a request that is to be done once, the answer is made of it
                and kept with what is written.

        Raises:
            Replayed: The request was answered before; nothing was changed.
            LeaseLost: See `LedgerRepository.finish`.
            EmailTaken: See `UserRepository`.
            InvalidCredentials: See `SessionRepository.open`.
            QuotaExceeded: An owner would keep more than the quota that the adapter was given allows, deleted
                tasks included until they are removed; nothing was changed. See `Quota.refuses`.
            UnknownOwner: The owner of a new task does not exist (any more).
            Contention: It lost a race for locks; nothing was changed.
        """
        ...


class Transactions(Protocol):
    """Opens units of work."""

    def __call__(self, once: Once | None = None) -> AbstractAsyncContextManager[Transaction]:
        """Return a unit to enter; leaving it without `commit` takes everything back.

        With `once`, entering waits up to `idempotency.WAIT_FOR` for another unit of the same key.

        Raises:
            KeyReused: On entering: the key was another request's.
            RequestInProgress: On entering: the other took longer.
        """
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

    async def emails(self, user_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Return the emails of these users, by id, in one query; those that are not there are left out."""
        ...

    async def credentials(self, email: str, origin: Origin) -> Credentials | None:
        """Return what signing in needs; `email` is as `check_email` returns it."""
        ...


class SessionReads(Protocol):
    """Questions about sessions and what happened to accounts."""

    async def sessions(self, user_id: UUID) -> tuple[SessionView, ...]:
        """Return the live sessions of a user, the last used first; the last 100 at most."""
        ...

    async def events(self, query: EventQuery, now: datetime) -> Page[SecurityEvent]:
        """Return a page of events."""
        ...


class Identities(Protocol):
    """Says, for every request anew, who asks."""

    async def __call__(self, claims: TokenClaims) -> Identity | None:
        """Return what holds of a session at this moment.

        None where it is not live, or not this user's, or its user may not sign in.
        Asked of the truth after the call began, so whatever was acknowledged before counts. Calls
        of the same moment may share a question.
        """
        ...


class LoginAttempts(Protocol):
    """Counts tries to log in, where nobody but the store can forget them."""

    async def begin(self, subject: str) -> Attempt:
        """Count a try, unless it has to wait.

        It has to for `throttle.delay_after` the tries before it, by the store's clock.
        It is counted before the password is looked at, so that any number at once count too.
        `subject` names an account and perhaps a place; it is kept as a keyed hash.
        """
        ...

    async def succeeded(self, subject: str) -> None:
        """Forget the tries of a subject."""
        ...

    async def give_back(self, subject: str) -> None:
        """Take one try off the count: its password was not looked at after all."""
        ...
