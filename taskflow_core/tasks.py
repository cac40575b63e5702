"""Tasks: every invariant and transition, the history they leave, and what queries return."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from taskflow_core.errors import InvalidTransition, NotFound
from taskflow_core.fields import UNSET, Unset, check_fields, check_line, check_text, require_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskflow_core.fields import ExpectedVersion
    from taskflow_core.permissions import Actor

TITLE_MAX: Final = 255
DESCRIPTION_MAX: Final = 10_000
RESTORE_WITHIN: Final = timedelta(days=30)
"""How long a deleted task can be restored; after that it may be purged."""
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)


class Status(StrEnum):
    """The status of a task."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"

    @property
    def is_open(self) -> bool:
        """Whether there is still something to do."""
        return self in OPEN


OPEN: Final = frozenset({Status.PENDING, Status.IN_PROGRESS})


class Priority(StrEnum):
    """The priority of a task; priorities sort in this order."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"

    @property
    def rank(self) -> int:
        """Return the place in the order, from 0."""
        return _RANKS[self]


_RANKS: Final = {priority: rank for rank, priority in enumerate(Priority)}


class Action(StrEnum):
    """What an entry of a task's history records."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    RESTORED = "restored"


def check_title(value: str) -> str:
    """Return the title trimmed; 1 to 255 characters.

    Raises:
        ValueError: It is empty or too long, or nothing of it is visible.
    """
    return check_line(value, most=TITLE_MAX)


def check_description(value: str | None) -> str | None:
    """Return the description as it is, up to 10,000 characters; None where there is none.

    Raises:
        ValueError: It is too long.
    """
    return None if value is None else check_text(value, least=0, most=DESCRIPTION_MAX)


def check_time(value: datetime | None) -> datetime | None:
    """Return the time in UTC, between the years 1900 and 9998.

    Raises:
        ValueError: It has no offset, or is absurd.
    """
    if value is None:
        return None
    if value.utcoffset() is None:
        raise ValueError("must have an offset from UTC")
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        utc = LATEST
    if not EARLIEST <= utc < LATEST:
        raise ValueError("must lie between the years 1900 and 9998")
    return utc


FIELD_RULES: Final[Mapping[str, Callable[[Any], object]]] = {
    "title": check_title,
    "description": check_description,
    "due_date": check_time,
}
"""The rule of each field that has one beyond its type; a rule raises ValueError with a sentence."""


@dataclass(frozen=True, slots=True)
class TaskChanges:
    """A change of a task: every field that is not `UNSET` is to become what is given."""

    title: str | Literal[Unset.UNSET] = UNSET
    description: str | Literal[Unset.UNSET] | None = UNSET
    status: Status | Literal[Unset.UNSET] = UNSET
    priority: Priority | Literal[Unset.UNSET] = UNSET
    due_date: datetime | Literal[Unset.UNSET] | None = UNSET
    user_id: UUID | Literal[Unset.UNSET] = UNSET

    def given(self) -> dict[str, object]:
        """Return the fields that are to change, by name."""
        named = ((name, getattr(self, name)) for name in _CHANGEABLE)
        return {name: value for name, value in named if value is not UNSET}


_CHANGEABLE: Final = tuple(field.name for field in fields(TaskChanges))


@dataclass(frozen=True, slots=True)
class FieldChange:
    """From what to what a field went, as text: enumerations by value, times in RFC 3339."""

    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One step in a task's life; there is exactly one for each version.

    Attributes:
        version: Of the task, after this step.
        actor_id: Who did it; None is the operator. May name a user that no longer exists.
        changes: By field name; empty for a deletion and a restoration.
        request_id: Of the request that caused it.
    """

    id: UUID
    task_id: UUID
    version: int
    at: datetime
    actor_id: UUID | None
    action: Action
    changes: Mapping[str, FieldChange]
    request_id: str | None


def as_text(value: object) -> str | None:
    """Return a field's value as history keeps it."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


@dataclass(slots=True, kw_only=True)
class Task:
    """A task and its rules. Each method that changes it returns the history entry to keep with it.

    Attributes:
        user_id: The owner's.
        completed_at: When it was completed; None unless its status is COMPLETED.
        deleted_at: When it was deleted; it can be restored for `RESTORE_WITHIN`.
        version: 1 at creation, one more with each change; what an ETag shows.
    """

    id: UUID
    user_id: UUID
    title: str
    description: str | None
    status: Status
    priority: Priority
    due_date: datetime | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None
    deleted_at: datetime | None = None
    version: int = 1

    @classmethod
    def create(
        cls,
        *,
        id: UUID,
        entry_id: UUID,
        user_id: UUID,
        title: str,
        actor: Actor,
        now: datetime,
        description: str | None = None,
        status: Status = Status.PENDING,
        priority: Priority = Priority.MEDIUM,
        due_date: datetime | None = None,
    ) -> tuple[Task, HistoryEntry]:
        """Return a new task at version 1, and the entry that tells of it.

        Raises:
            InvalidInput: A field breaks its rule; all that do are named.
        """
        given = {"title": title, "description": description, "due_date": due_date}
        checked = check_fields(FIELD_RULES, given)
        task = cls(
            id=id, user_id=user_id, status=status, priority=priority, created_at=now, updated_at=now,
            completed_at=now if status is Status.COMPLETED else None, **checked,
        )  # fmt: skip
        set_fields = {name: FieldChange(None, as_text(getattr(task, name))) for name in _CHANGEABLE}
        changes = {name: change for name, change in set_fields.items() if change.after is not None}
        return task, task._entry(entry_id, Action.CREATED, changes, actor, now)

    def is_overdue(self, now: datetime) -> bool:
        """Return whether it is open and was due before `now`."""
        return self.status.is_open and self.due_date is not None and self.due_date < now

    def require_live(self) -> None:
        """Raise `NotFound` where it is deleted: what is deleted can only be restored."""
        if self.deleted_at is not None:
            raise NotFound

    def require_version(self, expected: ExpectedVersion) -> None:
        """Raise `VersionMismatch` where the present version is not one that is expected."""
        require_version(self.version, expected)

    def change(
        self, changes: TaskChanges, *, entry_id: UUID, actor: Actor, now: datetime
    ) -> HistoryEntry | None:
        """Apply `changes` whole or not at all; return None where they make nothing different.

        Raises:
            InvalidInput: A field breaks its rule.
            InvalidTransition: From one closed status to the other.
            NotFound: It is deleted.
        """
        self.require_live()
        checked = check_fields(FIELD_RULES, changes.given())
        moved = {name: value for name, value in checked.items() if getattr(self, name) != value}
        if not moved:
            return None
        if "status" in moved:
            self._move_to(moved["status"], now)
        told = {name: FieldChange(as_text(getattr(self, name)), as_text(new)) for name, new in moved.items()}
        for name, value in moved.items():
            setattr(self, name, value)
        return self._next(entry_id, Action.UPDATED, told, actor, now)

    def delete(self, *, entry_id: UUID, actor: Actor, now: datetime) -> HistoryEntry:
        """Hide it until it is restored or purged.

        Raises:
            NotFound: It is deleted already.
        """
        self.require_live()
        self.deleted_at = now
        return self._next(entry_id, Action.DELETED, {}, actor, now)

    def restore(self, *, entry_id: UUID, actor: Actor, now: datetime) -> HistoryEntry | None:
        """Bring it back as it was; return None where it is not deleted.

        Raises:
            NotFound: It was deleted too long ago.
        """
        if self.deleted_at is None:
            return None
        if now - self.deleted_at > RESTORE_WITHIN:
            raise NotFound
        self.deleted_at = None
        return self._next(entry_id, Action.RESTORED, {}, actor, now)

    def _move_to(self, status: Status, now: datetime) -> None:
        if not self.status.is_open and not status.is_open:
            reopened = " or ".join(sorted(OPEN, reverse=True))
            raise InvalidTransition(
                f"A task that is {self.status} cannot become {status}. Set its status to {reopened} first."
            )
        self.completed_at = now if status is Status.COMPLETED else None

    def _next(
        self, entry_id: UUID, action: Action, changes: Mapping[str, FieldChange], actor: Actor, now: datetime
    ) -> HistoryEntry:
        self.version += 1
        # Clocks of two instances differ: a task is never updated before it was.
        self.updated_at = max(now, self.updated_at)
        return self._entry(entry_id, action, changes, actor, self.updated_at)

    def _entry(
        self, entry_id: UUID, action: Action, changes: Mapping[str, FieldChange], actor: Actor, at: datetime
    ) -> HistoryEntry:
        return HistoryEntry(entry_id, self.id, self.version, at, actor.id, action, changes, actor.request_id)


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as queries return it."""

    id: UUID
    title: str
    description: str | None
    status: Status
    priority: Priority
    due_date: datetime | None
    user_id: UUID
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    version: int

    @classmethod
    def of(cls, task: Task) -> TaskView:
        """Return the view of a task that is loaded already."""
        return cls(
            task.id, task.title, task.description, task.status, task.priority, task.due_date, task.user_id,
            task.created_at, task.updated_at, task.completed_at, task.version,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TaskStats:
    """How many tasks there are, deleted ones aside.

    Attributes:
        by_status: Every status, those without tasks too.
        by_priority: Every priority, likewise.
        overdue: Open and due before `as_of`.
    """

    total: int
    by_status: Mapping[Status, int]
    by_priority: Mapping[Priority, int]
    overdue: int
    as_of: datetime
