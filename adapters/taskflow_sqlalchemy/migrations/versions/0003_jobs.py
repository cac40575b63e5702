"""The ledger of background work, scans, idempotency keys; which overdue tasks were told of; opting out.

All of it is one transaction; what takes long on busy tables is the next migration's.

Revision: 0003, after 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_time = sa.DateTime(timezone=True)
_HELD = "{} BETWEEN '0001-01-02 00:00:00+00' AND '9999-12-31 00:00:00+00'"
"""What Python can hold, whatever the connection's time zone is."""


def upgrade() -> None:
    """Make the new tables; columns without or with a constant default are added without a rewrite."""
    op.add_column(
        "users", sa.Column("notifications", sa.Boolean, nullable=False, server_default=sa.text("true"))
    )
    op.add_column("tasks", sa.Column("notified_due_date", _time))
    op.add_column("tasks", sa.Column("told_due_dates", postgresql.ARRAY(_time)))
    _ledger()
    _scans()
    _keys()


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Uuid),
        sa.Column("payload", postgresql.JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("max_tries", sa.Integer, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("run_at", _time, nullable=False),
        sa.Column("lease_until", _time),
        sa.Column("error", sa.Text),
        sa.Column("created_at", _time, nullable=False),
        sa.Column("finished_at", _time),
        sa.Column("request_id", sa.Text),
        sa.PrimaryKeyConstraint("id", name="ledger_pkey"),
        sa.CheckConstraint("state IN ('pending', 'running', 'done', 'dead')", name="ledger_state_check"),
        sa.CheckConstraint(
            "max_tries >= 1 AND tries BETWEEN 0 AND max_tries AND (state <> 'pending' OR tries < max_tries)",
            name="ledger_tries_check",
        ),
        sa.CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="ledger_lease_check"),
        sa.CheckConstraint(
            "(state IN ('done', 'dead')) = (finished_at IS NOT NULL)", name="ledger_finished_check"
        ),
        sa.CheckConstraint(
            " AND ".join(map(_HELD.format, ("run_at", "lease_until", "created_at", "finished_at"))),
            name="ledger_times_check",
        ),
        postgresql_with={"autovacuum_vacuum_scale_factor": "0.05"},
    )
    for name, columns, state in (
        ("ledger_due_idx", ["kind", "run_at", "id"], "pending"),
        ("ledger_lease_idx", ["lease_until"], "running"),
        ("ledger_dead_idx", ["kind", "id"], "dead"),
        ("ledger_died_idx", ["kind", "finished_at", "id"], "dead"),
        ("ledger_done_idx", ["finished_at"], "done"),
        ("ledger_done_kind_idx", ["kind", "id"], "done"),
    ):
        op.create_index(name, "ledger", columns, postgresql_where=sa.text(f"state = '{state}'"))
    op.create_index(
        "ledger_former_email_idx", "ledger", ["subject"], postgresql_where=sa.text("payload ? 'former_email'")
    )
    op.create_table(
        "sample_refunds",
        sa.Column("job_id", sa.Uuid, nullable=False),
        sa.Column("at", _time, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["ledger.id"], name="sample_refunds_job_id_fkey", ondelete="CASCADE"
        ),
    )
    op.create_index("sample_refunds_job_idx", "sample_refunds", ["job_id"])


def _scans() -> None:
    op.create_table(
        "scans",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("due_at", _time, nullable=False),
        sa.PrimaryKeyConstraint("name", name="scans_pkey"),
        sa.CheckConstraint(_HELD.format("due_at"), name="scans_due_at_check"),
    )
    # Without `overdue`: it would tell of what the next migration marks as told of.
    for name in ("reconcile", "clean_up"):
        op.execute(f"INSERT INTO scans (name, due_at) VALUES ('{name}', now())")  # noqa: S608 constants


def _keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("kept_at", _time, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name="idempotency_keys_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="idempotency_keys_user_id_fkey", ondelete="CASCADE"
        ),
        sa.CheckConstraint("char_length(key) BETWEEN 1 AND 255", name="idempotency_keys_key_check"),
    )
    op.create_index("idempotency_keys_kept_idx", "idempotency_keys", ["kept_at"])
