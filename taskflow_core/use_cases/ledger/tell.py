"""Handlers that tell people: of tasks that fall overdue or become theirs, of events of their account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from taskflow_core.errors import Unaddressable
from taskflow_core.notices import Notice, NoticeKind
from taskflow_core.security_events import FORMER_EMAIL
from taskflow_core.tasks import as_text
from taskflow_core.use_cases.ledger.run import Skipped

if TYPE_CHECKING:
    from taskflow_core.ledger import LedgerEntry
    from taskflow_core.ports.notifier import Notifier
    from taskflow_core.ports.persistence import TaskReads, Transaction, UserReads
    from taskflow_core.tasks import TaskView
    from taskflow_core.use_cases.ledger.run import Effect
    from taskflow_core.users import UserView

_OVERDUE: Final = UUID("0d2c7f5e-6a53-5b0c-9a35-5f1b2f0f7c11")
"""The namespace (RFC 9562 section 5.5) of the ids of notices that a task is overdue."""
_CLOSED: Final = "the task is closed"


@dataclass(frozen=True, slots=True)
class TellOverdue:
    """Tells an owner that a task is overdue, unless that is over or was settled in the meantime."""

    tasks: TaskReads
    users: UserReads
    notifier: Notifier

    async def __call__(self, job: LedgerEntry) -> Effect | None:
        """Send the notice; where there is none to send (any more), let the task be told of again.

        Its id is the task's and the due date's, so that even a job that was made anew tells the same.
        """
        task_id, due_date = _subject(job), job.payload["due_date"]
        rearm = partial(_rearm, task_id, datetime.fromisoformat(due_date))
        task = await self.tasks.task(task_id, owner=None)
        if task is None:
            return Skipped("the task is gone", rearm)
        if not task.status.is_open:
            return Skipped(_CLOSED, rearm)
        if as_text(task.due_date) != due_date:
            return Skipped("the task is due at another time", rearm)
        owner = await self.users.user(task.user_id)
        if owner is None or not owner.active or not owner.notifications:
            return _not_told(owner)
        id = uuid5(_OVERDUE, f"{task_id} {due_date}")
        return await _sent(self.notifier, _of_task(NoticeKind.TASK_OVERDUE, id, job, task, owner))


@dataclass(frozen=True, slots=True)
class TellAssigned:
    """Tells somebody that a task became theirs, unless it is gone again or closed by now."""

    tasks: TaskReads
    users: UserReads
    notifier: Notifier

    async def __call__(self, job: LedgerEntry) -> Effect | None:
        """Send the notice."""
        task = await self.tasks.task(_subject(job), owner=UUID(job.payload["user_id"]))
        if task is None:
            return Skipped("the task is gone or another's")
        if not task.status.is_open:
            return Skipped(_CLOSED)
        owner = await self.users.user(task.user_id)
        if owner is None or not owner.active or not owner.notifications:
            return _not_told(owner)
        return await _sent(self.notifier, _of_task(NoticeKind.TASK_ASSIGNED, job.id, job, task, owner))


@dataclass(frozen=True, slots=True)
class TellReassigned:
    """Notifies the previous owner of a task that somebody else moved away, unless it came back."""

    tasks: TaskReads
    users: UserReads
    notifier: Notifier

    async def __call__(self, job: LedgerEntry) -> Effect | None:
        """Send the notice."""
        task_id, previous = _subject(job), UUID(job.payload["user_id"])
        if await self.tasks.task(task_id, owner=previous) is not None:
            return Skipped("the task came back")
        owner = await self.users.user(previous)
        if owner is None or not owner.active or not owner.notifications:
            return _not_told(owner)
        notice = Notice(
            id=job.id, kind=NoticeKind.TASK_REASSIGNED, user_id=owner.id, email=owner.email, name=owner.name,
            at=job.created_at, facts={"task_id": str(task_id), "title": job.payload["title"]},
        )  # fmt: skip
        return await _sent(self.notifier, notice)


@dataclass(frozen=True, slots=True)
class TellSecurityEvent:
    """Tells somebody what happened to the account, asked for or not, also where it was deactivated.

    Of another email the one before is told: the new one may be whose who took the account.
    """

    users: UserReads
    notifier: Notifier

    async def __call__(self, job: LedgerEntry) -> Effect | None:
        """Send the notice."""
        user = await self.users.user(_subject(job))
        if user is None:
            return Skipped("the account is gone")
        facts = dict(job.payload)
        email = facts.pop(FORMER_EMAIL, user.email)
        notice = Notice(
            id=job.id, kind=NoticeKind.SECURITY_EVENT, user_id=user.id, email=email,
            name=user.name, at=job.created_at, facts=facts,
        )  # fmt: skip
        await self.notifier.send(notice)
        return None


async def _rearm(task_id: UUID, due_date: datetime, transaction: Transaction) -> None:
    transaction.tasks.rearm(task_id, due_date)


def _not_told(owner: UserView | None) -> Skipped:
    cannot = owner is None or not owner.active
    return Skipped("the owner cannot sign in" if cannot else "the owner wants no notices")


async def _sent(notifier: Notifier, notice: Notice) -> Skipped | None:
    try:
        await notifier.send(notice)
    except Unaddressable:
        # Anybody can register with such an address, and have as many tasks fall overdue.
        return Skipped("the address takes no mail")
    return None


def _subject(job: LedgerEntry) -> UUID:
    if job.subject is None:
        raise ValueError(f"A job of kind {job.kind} is about somebody or something.")
    return job.subject


def _of_task(kind: NoticeKind, id: UUID, job: LedgerEntry, task: TaskView, owner: UserView) -> Notice:
    facts = {"task_id": str(task.id), "title": task.title, "due_date": as_text(task.due_date) or ""}
    return Notice(
        id=id, kind=kind, user_id=owner.id, email=owner.email, name=owner.name, at=job.created_at, facts=facts
    )
