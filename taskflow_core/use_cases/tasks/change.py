"""Change a task: its fields, its status, its owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.errors import NotFound
from taskflow_core.fields import UNSET
from taskflow_core.permissions import (
    Actor,
    require_assign,
    require_change_task,
    require_take,
    seen_owner,
)
from taskflow_core.tasks import TaskChanges, TaskView
from taskflow_core.use_cases.tasks.assigned import keep_assigned

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_core.fields import ExpectedVersion
    from taskflow_core.ports.persistence import Transactions
    from taskflow_core.ports.time import Clock, Ids


@dataclass(frozen=True, slots=True)
class TaskChange:
    """Which task is to change into what.

    Attributes:
        version: The version that it must have, or several of which it must have one; None for any.
    """

    task_id: UUID
    changes: TaskChanges
    version: ExpectedVersion = None


@dataclass(frozen=True, slots=True)
class ChangeTask:
    """Change one task."""

    transactions: Transactions
    clock: Clock
    ids: Ids

    async def __call__(self, command: TaskChange, actor: Actor) -> TaskView:
        """Return the task as it is now; one that nothing changed keeps its version.

        Raises:
            NotFound: It is not there, or not to be seen.
            Forbidden: It is to go to somebody else, or another's to the actor, without the permission.
            InvalidInput: A field breaks its rule, or the new owner does not exist.
            InvalidTransition: From one closed status to the other.
            VersionMismatch: It has another version.
        """
        new_owner = command.changes.user_id
        new_owners = [] if new_owner is UNSET else [new_owner]
        for owner in new_owners:
            require_assign(actor, owner)
        async with self.transactions() as transaction:
            loaded = await transaction.tasks.load(
                [command.task_id], and_owners=new_owners, of_owner=seen_owner(actor)
            )
            task = loaded.get(command.task_id)
            if task is None:
                raise NotFound
            (require_take if actor.id in new_owners else require_change_task)(actor, task.user_id)
            task.require_live()
            task.require_version(command.version)
            now = self.clock()
            entry = task.change(command.changes, entry_id=self.ids(now), actor=actor, now=now)
            if entry is not None:
                transaction.tasks.save(task, entry)
                keep_assigned(transaction, task, entry, actor, self.ids)
                await transaction.commit()
        return TaskView.of(task)
