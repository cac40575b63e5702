"""Create a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.errors import Fault, InvalidInput, Unauthenticated, UnknownOwner
from taskflow_core.permissions import Actor, require_assign
from taskflow_core.tasks import Priority, Status, Task, TaskView
from taskflow_core.use_cases.tasks.assigned import keep_assigned

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.ports.persistence import Transactions
    from taskflow_core.ports.time import Clock, Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """What the task is to be.

    Attributes:
        user_id: Whose; None for the actor's own.
        notify: Whether the owner is told that it is theirs, and that it is overdue where it is already.
            Due dates to come are told of in any case.
    """

    title: str
    description: str | None = None
    status: Status = Status.PENDING
    priority: Priority = Priority.MEDIUM
    due_date: datetime | None = None
    user_id: UUID | None = None
    notify: bool = True


@dataclass(frozen=True, slots=True)
class CreateTask:
    """Create a task for oneself, or for anyone where one may."""

    transactions: Transactions
    clock: Clock
    ids: Ids

    async def __call__(self, command: NewTask, actor: Actor) -> TaskView:
        """Return the task as it was made.

        Raises:
            InvalidInput: A field breaks its rule, or the owner does not exist.
            Forbidden: For somebody else, without the permission.
            Unauthenticated: The actor's own account is gone.
        """
        owner = command.user_id or actor.id
        if owner is None:
            raise InvalidInput([Fault(("user_id",), "must be given, since the operator owns no tasks")])
        require_assign(actor, owner)
        now = self.clock()
        task, entry = Task.create(
            id=self.ids(now), entry_id=self.ids(now), user_id=owner, title=command.title,
            description=command.description, status=command.status, priority=command.priority,
            due_date=command.due_date, actor=actor, now=now,
        )  # fmt: skip
        try:
            async with self.transactions(actor.once) as transaction:
                transaction.replay()
                transaction.tasks.add(task, entry, told=not command.notify)
                if command.notify:
                    keep_assigned(transaction, task, entry, actor, self.ids)
                await transaction.commit(TaskView.of(task))
        except UnknownOwner as error:
            if actor.owns(owner):
                raise Unauthenticated from error
            raise
        return TaskView.of(task)
