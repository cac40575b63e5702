"""Users, tasks, and the history of tasks.

Revision: 0001, the first
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables; they are empty, so indexes are built in place."""
    _users()
    _tasks()
    _history()


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("data_version", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("created_at", _time, nullable=False),
        sa.Column("updated_at", _time, nullable=False),
        sa.Column("deleted_at", _time),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        sa.CheckConstraint("char_length(email) BETWEEN 3 AND 254", name="users_email_check"),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 255", name="users_name_check"),
        sa.CheckConstraint("role IN ('user', 'manager', 'admin')", name="users_role_check"),
        sa.CheckConstraint("deleted_at IS NULL OR NOT active", name="users_deleted_check"),
        sa.CheckConstraint("version >= 1", name="users_version_check"),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "users_email_key", "users", ["email"], unique=True, postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_index(
        "users_admins_idx", "users", ["id"], postgresql_where=sa.text("role = 'admin' AND deleted_at IS NULL")
    )
    op.create_index("users_deleted_idx", "users", ["id"], postgresql_where=sa.text("deleted_at IS NOT NULL"))


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("due_date", _time),
        sa.Column("created_at", _time, nullable=False),
        sa.Column("updated_at", _time, nullable=False),
        sa.Column("completed_at", _time),
        sa.Column("deleted_at", _time),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="tasks_pkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="tasks_user_id_fkey", ondelete="CASCADE"),
        sa.CheckConstraint("char_length(title) BETWEEN 1 AND 255", name="tasks_title_check"),
        sa.CheckConstraint("char_length(description) <= 10000", name="tasks_description_check"),
        sa.CheckConstraint(
            "status IN ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'CANCELLED')", name="tasks_status_check"
        ),
        sa.CheckConstraint("priority BETWEEN 0 AND 2", name="tasks_priority_check"),
        sa.CheckConstraint(
            "(status = 'COMPLETED') = (completed_at IS NOT NULL)", name="tasks_completed_check"
        ),
        sa.CheckConstraint("version >= 1", name="tasks_version_check"),
        postgresql_with={"fillfactor": "90"},
    )
    live = "deleted_at IS NULL"
    open_ = f"{live} AND status IN ('PENDING', 'IN_PROGRESS')"
    op.create_index("tasks_owner_idx", "tasks", ["user_id", sa.text("id DESC")])
    op.create_index(
        "tasks_status_idx", "tasks", ["status", sa.text("id DESC")], postgresql_where=sa.text(live)
    )
    op.create_index("tasks_due_idx", "tasks", ["due_date", "id"], postgresql_where=sa.text(open_))
    op.create_index(
        "tasks_deleted_idx", "tasks", [sa.text("id DESC")], postgresql_where=sa.text("deleted_at IS NOT NULL")
    )


def _history() -> None:
    op.create_table(
        "task_history",
        sa.Column("task_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("at", _time, nullable=False),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("changes", postgresql.JSONB, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.PrimaryKeyConstraint("task_id", "version", name="task_history_pkey"),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name="task_history_task_id_fkey", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "action IN ('created', 'updated', 'deleted', 'restored')", name="task_history_action_check"
        ),
    )
