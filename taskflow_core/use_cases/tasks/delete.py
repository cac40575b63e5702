"""Delete a task, softly, and restore it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.errors import NotFound
from taskflow_core.permissions import Actor, require_delete_task, seen_owner
from taskflow_core.tasks import TaskView

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_core.fields import ExpectedVersion
    from taskflow_core.ports.persistence import Transaction, Transactions
    from taskflow_core.ports.time import Clock, Ids
    from taskflow_core.tasks import Task


@dataclass(frozen=True, slots=True)
class TaskDeletion:
    """Which task is to go.

    Attributes:
        version: The version that it must have, or several of which it must have one; None for any.
    """

    task_id: UUID
    version: ExpectedVersion = None


@dataclass(frozen=True, slots=True)
class TaskRestoration:
    """Which task is to come back.

    Attributes:
        version: The version that it must have, or several of which it must have one; None for any.
    """

    task_id: UUID
    version: ExpectedVersion = None


async def _load(transaction: Transaction, task_id: UUID, actor: Actor) -> Task:
    task = (await transaction.tasks.load([task_id], of_owner=seen_owner(actor))).get(task_id)
    if task is None:
        raise NotFound
    require_delete_task(actor, task.user_id)
    return task


@dataclass(frozen=True, slots=True)
class DeleteTask:
    """Delete one task; for 30 days it can be restored."""

    transactions: Transactions
    clock: Clock
    ids: Ids

    async def __call__(self, command: TaskDeletion, actor: Actor) -> None:
        """Delete it.

        Raises:
            NotFound: It is not there (deleted already, say), or not to be seen.
            Forbidden: It is another's that one may see but not delete.
            VersionMismatch: It has another version.
        """
        async with self.transactions() as transaction:
            task = await _load(transaction, command.task_id, actor)
            task.require_live()
            task.require_version(command.version)
            now = self.clock()
            transaction.tasks.save(task, task.delete(entry_id=self.ids(now), actor=actor, now=now))
            await transaction.commit()


@dataclass(frozen=True, slots=True)
class RestoreTask:
    """Bring a deleted task back as it was."""

    transactions: Transactions
    clock: Clock
    ids: Ids

    async def __call__(self, command: TaskRestoration, actor: Actor) -> TaskView:
        """Return the task; one that is not deleted is returned as it is.

        Raises:
            NotFound: It is not there, was deleted more than 30 days ago, or is not to be seen.
            Forbidden: It is another's that one may see but not restore.
            VersionMismatch: It has another version.
        """
        async with self.transactions(actor.once) as transaction:
            task = await _load(transaction, command.task_id, actor)
            transaction.replay()
            task.require_version(command.version)
            now = self.clock()
            entry = task.restore(entry_id=self.ids(now), actor=actor, now=now)
            if entry is not None:
                transaction.tasks.save(task, entry)
            await transaction.commit(TaskView.of(task))
        return TaskView.of(task)
