"""Breaks the database on purpose, to see that the accounting would have noticed; nothing of it is kept."""

from __future__ import annotations

from typing import Final, NamedTuple

from benchmarks.faults import snapshot
from benchmarks.faults.accounting import account
from benchmarks.faults.records import Book


class Tampering(NamedTuple):
    """Something that is broken, and what a finding then says.

    Attributes:
        statement: Touches one row.
    """

    name: str
    statement: str
    words: str


TAMPERINGS: Final = (
    Tampering(
        # The last one, of which it is known that it was acknowledged.
        "a task that is gone",
        "DELETE FROM tasks WHERE id = (SELECT id FROM tasks ORDER BY id DESC LIMIT 1)",
        "acknowledged, and left nothing",
    ),
    Tampering(
        "a field that is another",
        "UPDATE tasks SET title = 'tampered with' WHERE id = (SELECT id FROM tasks ORDER BY id LIMIT 1)",
        "title is 'tampered with'",
    ),
    Tampering(
        "a step that is gone",
        "DELETE FROM task_history WHERE (task_id, version) = "
        "(SELECT task_id, version FROM task_history WHERE version = 2 LIMIT 1)",
        "its history has [1",
    ),
    Tampering(
        "a key that is gone",
        "DELETE FROM idempotency_keys WHERE ctid = (SELECT ctid FROM idempotency_keys LIMIT 1)",
        "its key is kept 0 times",
    ),
    Tampering(
        "a key without its answer",
        "UPDATE idempotency_keys SET answer = NULL WHERE ctid = (SELECT ctid FROM idempotency_keys LIMIT 1)",
        "are kept without an answer",
    ),
    Tampering(
        "a job that is gone",
        "DELETE FROM ledger WHERE id = (SELECT id FROM ledger WHERE kind = 'task.assigned' LIMIT 1)",
        "no job for assigned task",
    ),
    Tampering(
        "a job that never ended",
        "UPDATE ledger SET state = 'pending', finished_at = NULL "
        "WHERE id = (SELECT id FROM ledger WHERE kind = 'task.overdue' LIMIT 1)",
        "is pending",
    ),
    Tampering(
        "an effect that is gone",
        "DELETE FROM sample_refunds WHERE ctid = (SELECT ctid FROM sample_refunds ORDER BY job_id LIMIT 1)",
        "left no refund",
    ),
    Tampering(
        "an effect that is doubled",
        "INSERT INTO sample_refunds SELECT * FROM sample_refunds ORDER BY job_id DESC LIMIT 1",
        "left 2 refunds",
    ),
    Tampering(
        "an event that nobody is told of",
        "DELETE FROM ledger WHERE id = (SELECT id FROM ledger WHERE kind = 'security.event' LIMIT 1)",
        "no job for security event",
    ),
)


def unseen(url: str, book: Book) -> list[str]:
    """Return what the accounting does not notice."""
    with snapshot.opened(url) as connection:
        touched = {each.name: connection.execute(each.statement).rowcount for each in TAMPERINGS}
        found = [str(finding) for finding in account(book, snapshot.read(connection)).findings]
    return [
        each.name
        for each in TAMPERINGS
        if touched[each.name] != 1 or not any(each.words in finding for finding in found)
    ]
