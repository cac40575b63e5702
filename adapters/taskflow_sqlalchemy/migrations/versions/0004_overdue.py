"""What is overdue by now counts as told of; indexes of tables that are in use while these are built.

Outside of a transaction, each step by itself: where one fails, all of it can be run again. Only the scan that
tells of what falls overdue from now on is committed with the revision: nothing is told of before.

Revision: 0004, after 0003
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from alembic import context, op

if TYPE_CHECKING:
    from collections.abc import Mapping

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STEP = 5_000
_OPEN = "deleted_at IS NULL AND status IN ('PENDING', 'IN_PROGRESS')"
_UNTOLD = "notified_due_date IS DISTINCT FROM due_date AND (due_date = ANY (told_due_dates)) IS NOT TRUE"
_INDEXES = (
    (
        "tasks_overdue_idx",
        "tasks",
        ["due_date", "id"],
        f"{_OPEN} AND {_UNTOLD}",
    ),
    ("tasks_removal_idx", "tasks", ["deleted_at"], "deleted_at IS NOT NULL"),
    ("login_attempts_tried_idx", "login_attempts", ["tried_at"], None),
    ("security_events_type_idx", "security_events", ["type", "id"], None),
)


def upgrade() -> None:
    """Mark, index, and then begin to tell."""
    with op.get_context().autocommit_block():
        _mark_overdue()
        # Building waits for every transaction that is older than it, a backup's too; nobody waits for it.
        op.execute("SET lock_timeout = 0")
        for name, table, columns, condition in _INDEXES:
            _remove_unfinished(name)
            op.create_index(
                name,
                table,
                columns,
                postgresql_where=None if condition is None else sa.text(condition),
                postgresql_concurrently=True,
                if_not_exists=True,
            )
        op.execute("RESET lock_timeout")
    op.execute("INSERT INTO scans (name, due_at) VALUES ('overdue', now()) ON CONFLICT DO NOTHING")


def _mark_overdue() -> None:
    """Count what is overdue already as told of: nobody wants a mail for each task of the last years."""
    overdue = f"{_OPEN} AND due_date < {{}} AND notified_due_date IS NULL"
    if context.is_offline_mode():
        op.execute(f"UPDATE tasks SET notified_due_date = due_date WHERE {overdue.format('now()')}")  # noqa: S608
        return
    step = sa.text(
        "WITH step AS (SELECT due_date, id FROM tasks "  # noqa: S608 constants
        f"WHERE {overdue.format(':began')} "
        "AND (due_date, id) > (CAST(:due AS timestamptz), CAST(:id AS uuid)) "
        f"ORDER BY due_date, id LIMIT {_STEP} FOR NO KEY UPDATE SKIP LOCKED), "
        "marked AS (UPDATE tasks SET notified_due_date = due_date "
        "WHERE id = ANY(ARRAY(SELECT id FROM step))) "
        # As text: whatever was written by hand, Python need not hold it.
        "SELECT due_date::text AS due, id FROM step ORDER BY due_date DESC, id DESC LIMIT 1"
    )
    began = op.get_bind().execute(sa.text("SELECT now()")).scalar_one()
    # Once more for what others held; what they hold still is told of.
    for _ in range(2):
        # On from the last: from the beginning each step would pass over all that the others marked.
        last: Mapping[Any, Any] | None = {"due": "-infinity", "id": UUID(int=0)}
        while last is not None:
            last = op.get_bind().execute(step, {"began": began, **last}).mappings().one_or_none()


def _remove_unfinished(index: str) -> None:
    """Remove what a building left that was interrupted: it is kept up, but answers nothing."""
    if context.is_offline_mode():
        return
    question = sa.text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:index)")
    if op.get_bind().execute(question, {"index": index}).scalar():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")
