"""${message}.

Revision: ${up_revision}, after ${down_revision}
"""

from __future__ import annotations

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this revision; indexes on existing tables CONCURRENTLY (see CONTRIBUTING.md)."""
    ${upgrades if upgrades else "raise NotImplementedError"}
