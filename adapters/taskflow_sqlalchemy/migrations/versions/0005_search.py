"""Search keys of texts for which case folding alone does not find canonically equivalent ones.

Adding the columns rewrites both tables, and holds up every query on them meanwhile.

Revision: 0005, after 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FOLDED = (
    "CASE WHEN octet_length({0}) > char_length({0}) THEN "
    "NULLIF(pg_catalog.normalize(casefold(pg_catalog.normalize({0}, 'NFD') COLLATE pg_unicode_fast), 'NFC'), "
    "casefold({0} COLLATE pg_unicode_fast)) ELSE NULL::text END"
)


def upgrade() -> None:
    """Add a generated column for each text that is searched."""
    for table, column in (("tasks", "title"), ("tasks", "description"), ("users", "name")):
        folded = sa.Computed(_FOLDED.format(column), persisted=True)
        op.add_column(table, sa.Column(f"{column}_folded", sa.Text, folded))
