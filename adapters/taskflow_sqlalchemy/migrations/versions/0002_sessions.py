"""Sessions, security events, tries to log in, and the version of a password.

Revision: 0002, after 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the new tables; a column with a constant default is added without a rewrite."""
    op.add_column(
        "users", sa.Column("password_version", sa.Integer, nullable=False, server_default=sa.text("1"))
    )
    # It looks at every account under the lock that the new column took: a second for some millions.
    op.create_check_constraint("users_password_version_check", "users", "password_version >= 1")
    _sessions()
    _security_events()
    op.create_table(
        "login_attempts",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("tried_at", _time, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="login_attempts_pkey"),
        sa.CheckConstraint("number >= 1", name="login_attempts_number_check"),
        postgresql_with={"fillfactor": "80"},
    )


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("seed", sa.LargeBinary, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("replaced", postgresql.ARRAY(_time), nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("network", sa.Text),
        sa.Column("user_agent", sa.Text),
        sa.Column("created_at", _time, nullable=False),
        sa.Column("last_used_at", _time, nullable=False),
        sa.Column("ended_at", _time),
        sa.Column("end_reason", sa.Text),
        sa.PrimaryKeyConstraint("id", name="sessions_pkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="sessions_user_id_fkey", ondelete="CASCADE"),
        sa.CheckConstraint("generation >= 1", name="sessions_generation_check"),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="sessions_end_check"),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index("sessions_user_idx", "sessions", ["user_id", sa.text("id DESC")])


def _security_events() -> None:
    op.create_table(
        "security_events",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("at", _time, nullable=False),
        sa.Column("detail", postgresql.JSONB, nullable=False),
        sa.PrimaryKeyConstraint("id", name="security_events_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="security_events_user_id_fkey", ondelete="CASCADE"
        ),
    )
    op.create_index("security_events_user_idx", "security_events", ["user_id", sa.text("id DESC")])
