"""Breaks the database on purpose, to see that the accounting would have noticed; nothing of it is kept."""

from __future__ import annotations

from typing import Final

from benchmarks.faults import snapshot
from benchmarks.faults.accounting import account
from benchmarks.faults.records import Book

TAMPERINGS: Final = {
    "a task that is gone": "DELETE FROM tasks WHERE id = (SELECT id FROM tasks WHERE version > 2 LIMIT 1)",
    "a field that is another": (
        "UPDATE tasks SET title = 'tampered with' WHERE id = (SELECT id FROM tasks LIMIT 1)"
    ),
    "a step that is gone": (
        "DELETE FROM task_history WHERE (task_id, version) = "
        "(SELECT task_id, version FROM task_history WHERE version = 2 LIMIT 1)"
    ),
    "a key that is gone": (
        "DELETE FROM idempotency_keys WHERE ctid = (SELECT ctid FROM idempotency_keys LIMIT 1)"
    ),
    "a key without its answer": (
        "UPDATE idempotency_keys SET answer = NULL WHERE ctid = (SELECT ctid FROM idempotency_keys LIMIT 1)"
    ),
    "a job that is gone": (
        "DELETE FROM ledger WHERE id = (SELECT id FROM ledger WHERE kind = 'task.assigned' LIMIT 1)"
    ),
    "a job that never ended": (
        "UPDATE ledger SET state = 'pending', finished_at = NULL "
        "WHERE id = (SELECT id FROM ledger WHERE kind = 'task.overdue' LIMIT 1)"
    ),
    "an effect that is gone": (
        "DELETE FROM sample_refunds WHERE ctid = (SELECT ctid FROM sample_refunds LIMIT 1)"
    ),
    "an effect that is doubled": "INSERT INTO sample_refunds SELECT * FROM sample_refunds LIMIT 1",
    "an event that nobody is told of": (
        "DELETE FROM ledger WHERE id = (SELECT id FROM ledger WHERE kind = 'security.event' LIMIT 1)"
    ),
}


def unseen(url: str, book: Book, findings: int) -> list[str]:
    """Return what the accounting does not notice: what there is none of, or it finds no more than so much."""
    overlooked = []
    for name, statement in TAMPERINGS.items():
        with snapshot.opened(url) as connection:
            touched = connection.execute(statement).rowcount
            found = account(book, snapshot.read(connection)).findings
            if touched != 1 or len(found) <= findings:
                overlooked.append(name)
    return overlooked
