"""What use cases do alike when a task becomes somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskflow_core.ledger import JobKind, LedgerEntry

if TYPE_CHECKING:
    from taskflow_core.permissions import Actor
    from taskflow_core.ports.persistence import Transaction
    from taskflow_core.ports.time import Ids
    from taskflow_core.tasks import HistoryEntry, Task


def keep_assigned(transaction: Transaction, task: Task, entry: HistoryEntry, actor: Actor, ids: Ids) -> None:
    """Have the owner told, where this step made the task somebody's who did not make the step."""
    if "user_id" not in entry.changes or actor.owns(task.user_id):
        return
    job = LedgerEntry.create(
        id=ids(entry.at), kind=JobKind.TASK_ASSIGNED, now=entry.at, subject=task.id,
        payload={"user_id": str(task.user_id)}, request_id=actor.request_id,
    )  # fmt: skip
    transaction.ledger.add(job)
