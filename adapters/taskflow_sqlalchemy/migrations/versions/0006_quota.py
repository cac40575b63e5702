"""What each account keeps, which is held against its quota.

Counting reads all tasks once, and holds up writes to accounts meanwhile.

Revision: 0006, after 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the counts, and fill them from the tasks that are there."""
    for name in ("tasks_kept", "bytes_kept"):
        op.add_column("users", sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.execute(
        "UPDATE users SET tasks_kept = kept.tasks, bytes_kept = kept.bytes FROM ("
        "SELECT user_id, count(*) AS tasks,"
        " sum(octet_length(title) + coalesce(octet_length(description), 0)) AS bytes"
        " FROM tasks GROUP BY user_id) AS kept WHERE users.id = kept.user_id"
    )
    op.create_check_constraint("users_quota_check", "users", "tasks_kept >= 0 AND bytes_kept >= 0")
