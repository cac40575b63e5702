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
    """Have the new and the previous owner notified of a task that moved, but not who moved it."""
    if "user_id" not in entry.changes:
        return
    payloads = {JobKind.TASK_ASSIGNED: {"user_id": str(task.user_id)}}
    previous = entry.changes["user_id"].before
    if previous is not None:
        # By the title that the previous owner knew: the task may be changed further, or deleted.
        title = entry.changes["title"].before if "title" in entry.changes else task.title
        payloads[JobKind.TASK_REASSIGNED] = {"user_id": previous, "title": title or ""}
    for kind, payload in payloads.items():
        if payload["user_id"] == str(actor.id):
            continue
        job = LedgerEntry.create(
            id=ids(entry.at), kind=kind, now=entry.at, subject=task.id, payload=payload,
            request_id=actor.request_id,
        )  # fmt: skip
        transaction.ledger.add(job)
