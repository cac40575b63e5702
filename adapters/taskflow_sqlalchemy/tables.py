"""The tables as SQLAlchemy sees them. The migrations make them; a test holds the two against each other.

Every constraint has a name, and `taskflow_sqlalchemy.errors` says what its violation means. Each
index stands beside the query that it is for.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

REVISION: Final = "0006"
"""The migration that these tables are of: the least that a database must have. Revisions sort as text."""

metadata = MetaData()

_time = DateTime(timezone=True)
_HELD = "{} BETWEEN '0001-01-02 00:00:00+00' AND '9999-12-31 00:00:00+00'"
"""What Python can hold, whatever the connection's time zone is: else one row written by hand stops all that
reads it, and so every scheduler. Elsewhere such a time spoils the lists that it is in, and no more."""


def _folded(column: str) -> Column[str]:
    """Return the generated column that search reads in place of the case folding of `column`.

    It is null, and takes no room, where case folding alone gives the same: for nearly every text.
    Normalizing in the query instead would make a search 20 to 50 times as expensive.
    """
    plain = f"casefold({column} COLLATE pg_unicode_fast)"
    decomposed = f"pg_catalog.normalize({column}, 'NFD')"
    whole = f"pg_catalog.normalize(casefold({decomposed} COLLATE pg_unicode_fast), 'NFC')"
    beyond_ascii = f"octet_length({column}) > char_length({column})"
    expression = f"CASE WHEN {beyond_ascii} THEN NULLIF({whole}, {plain}) ELSE NULL::text END"
    return Column(f"{column}_folded", Text, Computed(expression, persisted=True))


users = Table(
    "users",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    # Moved with every change of the owner's tasks; in no index, so that the update stays in its page (HOT).
    Column("data_version", BigInteger, nullable=False, server_default=text("0")),
    Column("created_at", _time, nullable=False),
    Column("updated_at", _time, nullable=False),
    Column("deleted_at", _time),
    Column("version", Integer, nullable=False),
    Column("password_version", Integer, nullable=False, server_default=text("1")),
    Column("notifications", Boolean, nullable=False, server_default=text("true")),
    _folded("name"),
    # Counted by the statements that move `data_version`, deleted tasks included, and held against the quota.
    Column("tasks_kept", BigInteger, nullable=False, server_default=text("0")),
    Column("bytes_kept", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("id", name="users_pkey"),
    CheckConstraint("char_length(email) BETWEEN 3 AND 254", name="users_email_check"),
    CheckConstraint("char_length(name) BETWEEN 1 AND 255", name="users_name_check"),
    CheckConstraint("role IN ('user', 'manager', 'admin')", name="users_role_check"),
    CheckConstraint("deleted_at IS NULL OR NOT active", name="users_deleted_check"),
    CheckConstraint("version >= 1", name="users_version_check"),
    CheckConstraint("password_version >= 1", name="users_password_version_check"),
    CheckConstraint("tasks_kept >= 0 AND bytes_kept >= 0", name="users_quota_check"),
    # Signing in, and the rule that an email has one live account.
    Index("users_email_key", "email", unique=True, postgresql_where=text("deleted_at IS NULL")),
    # UserRepository.load_many: all admins, locked in id order.
    Index("users_admins_idx", "id", postgresql_where=text("role = 'admin' AND deleted_at IS NULL")),
    # Upkeep.remove.
    Index("users_deleted_idx", "id", postgresql_where=text("deleted_at IS NOT NULL")),
    postgresql_with={"fillfactor": "80"},
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text),
    Column("status", Text, nullable=False),
    # The rank, so that it sorts.
    Column("priority", SmallInteger, nullable=False),
    Column("due_date", _time),
    Column("created_at", _time, nullable=False),
    Column("updated_at", _time, nullable=False),
    Column("completed_at", _time),
    Column("deleted_at", _time),
    Column("version", Integer, nullable=False),
    # The due date for which its owner was last told that it is overdue, and those before that one.
    Column("notified_due_date", _time),
    Column("told_due_dates", ARRAY(_time)),
    _folded("title"),
    _folded("description"),
    PrimaryKeyConstraint("id", name="tasks_pkey"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="tasks_user_id_fkey", ondelete="CASCADE"),
    CheckConstraint("char_length(title) BETWEEN 1 AND 255", name="tasks_title_check"),
    CheckConstraint("char_length(description) <= 10000", name="tasks_description_check"),
    CheckConstraint(
        "status IN ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'CANCELLED')", name="tasks_status_check"
    ),
    CheckConstraint("priority BETWEEN 0 AND 2", name="tasks_priority_check"),
    CheckConstraint("(status = 'COMPLETED') = (completed_at IS NOT NULL)", name="tasks_completed_check"),
    CheckConstraint("version >= 1", name="tasks_version_check"),
    # Everything that concerns one owner: lists, statistics, the cascade.
    Index("tasks_owner_idx", "user_id", text("id DESC")),
    # Everyone's of one status, newest first. (Everyone's of any status: the primary key.)
    Index("tasks_status_idx", "status", text("id DESC"), postgresql_where=text("deleted_at IS NULL")),
    # Everyone's overdue by due date.
    Index(
        "tasks_due_idx",
        "due_date",
        "id",
        postgresql_where=text("deleted_at IS NULL AND status IN ('PENDING', 'IN_PROGRESS')"),
    ),
    # Everyone's deleted, newest first.
    Index("tasks_deleted_idx", text("id DESC"), postgresql_where=text("deleted_at IS NOT NULL")),
    # TaskRepository.tell_overdue: open, and never told of for this due date.
    Index(
        "tasks_overdue_idx",
        "due_date",
        "id",
        postgresql_where=text(
            "deleted_at IS NULL AND status IN ('PENDING', 'IN_PROGRESS') "
            "AND notified_due_date IS DISTINCT FROM due_date "
            "AND (due_date = ANY (told_due_dates)) IS NOT TRUE"
        ),
    ),
    # Upkeep.remove: deleted too long ago.
    Index("tasks_removal_idx", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
    postgresql_with={"fillfactor": "90"},
)

task_history = Table(
    "task_history",
    metadata,
    Column("task_id", Uuid, nullable=False),
    # One entry a version: the key is the order, and no step of a task's life can be missing or double.
    Column("version", Integer, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("at", _time, nullable=False),
    # No foreign key: a deleted user stays as an empty name. NULL is the operator.
    Column("actor_id", Uuid),
    Column("action", Text, nullable=False),
    Column("changes", JSONB, nullable=False),
    Column("request_id", Text),
    PrimaryKeyConstraint("task_id", "version", name="task_history_pkey"),
    ForeignKeyConstraint(["task_id"], ["tasks.id"], name="task_history_task_id_fkey", ondelete="CASCADE"),
    CheckConstraint(
        "action IN ('created', 'updated', 'deleted', 'restored')", name="task_history_action_check"
    ),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("seed", LargeBinary, nullable=False),
    Column("generation", Integer, nullable=False),
    # When the generations before were replaced, newest first, as far back as the grace.
    Column("replaced", ARRAY(_time), nullable=False),
    # Keyed hashes; no address is kept.
    Column("address", Text),
    Column("network", Text),
    Column("user_agent", Text),
    Column("created_at", _time, nullable=False),
    Column("last_used_at", _time, nullable=False),
    Column("ended_at", _time),
    Column("end_reason", Text),
    PrimaryKeyConstraint("id", name="sessions_pkey"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="sessions_user_id_fkey", ondelete="CASCADE"),
    CheckConstraint("generation >= 1", name="sessions_generation_check"),
    CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="sessions_end_check"),
    # A user's sessions: to list, to end all, and whether an origin is known.
    Index("sessions_user_idx", "user_id", text("id DESC")),
    postgresql_with={"fillfactor": "80"},
)

security_events = Table(
    "security_events",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("at", _time, nullable=False),
    Column("detail", JSONB, nullable=False),
    # Everyone's, newest first.
    PrimaryKeyConstraint("id", name="security_events_pkey"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="security_events_user_id_fkey", ondelete="CASCADE"),
    # A user's, newest first.
    Index("security_events_user_idx", "user_id", text("id DESC")),
    # Everyone's of one type, newest first.
    Index("security_events_type_idx", "type", "id"),
)

login_attempts = Table(
    "login_attempts",
    metadata,
    # A keyed hash of an account's email, known or not, and perhaps of a network.
    Column("subject", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("tried_at", _time, nullable=False),
    PrimaryKeyConstraint("subject", name="login_attempts_pkey"),
    CheckConstraint("number >= 1", name="login_attempts_number_check"),
    # Upkeep.remove.
    Index("login_attempts_tried_idx", "tried_at"),
    postgresql_with={"fillfactor": "80"},
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    # No foreign key: what it is about may be gone, and may be anything.
    Column("subject", Uuid),
    Column("payload", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("max_tries", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("run_at", _time, nullable=False),
    Column("lease_until", _time),
    Column("error", Text),
    Column("created_at", _time, nullable=False),
    Column("finished_at", _time),
    Column("request_id", Text),
    PrimaryKeyConstraint("id", name="ledger_pkey"),
    CheckConstraint("state IN ('pending', 'running', 'done', 'dead')", name="ledger_state_check"),
    # One that waits has a try left: a claim would be refused, and be of the same row again.
    CheckConstraint(
        "max_tries >= 1 AND tries BETWEEN 0 AND max_tries AND (state <> 'pending' OR tries < max_tries)",
        name="ledger_tries_check",
    ),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="ledger_lease_check"),
    CheckConstraint("(state IN ('done', 'dead')) = (finished_at IS NOT NULL)", name="ledger_finished_check"),
    CheckConstraint(
        " AND ".join(map(_HELD.format, ("run_at", "lease_until", "created_at", "finished_at"))),
        name="ledger_times_check",
    ),
    # Claims, and what is to be hinted: of each kind the longest due first.
    Index("ledger_due_idx", "kind", "run_at", "id", postgresql_where=text("state = 'pending'")),
    # LedgerRepository.load_expired.
    Index("ledger_lease_idx", "lease_until", postgresql_where=text("state = 'running'")),
    # LedgerReads.jobs, of the dead.
    Index("ledger_dead_idx", "kind", "id", postgresql_where=text("state = 'dead'")),
    # LedgerRepository.load_dead; Upkeep.remove.
    Index("ledger_died_idx", "kind", "finished_at", "id", postgresql_where=text("state = 'dead'")),
    # Upkeep.remove.
    Index("ledger_done_idx", "finished_at", postgresql_where=text("state = 'done'")),
    # LedgerReads.jobs of one kind.
    Index("ledger_done_kind_idx", "kind", "id", postgresql_where=text("state = 'done'")),
    # Upkeep.remove, of what holds an address of a user: hardly any.
    Index("ledger_former_email_idx", "subject", postgresql_where=text("payload ? 'former_email'")),
    # Every row is updated twice, which leaves two dead behind: these are looked for early.
    postgresql_with={"autovacuum_vacuum_scale_factor": "0.05"},
)

sample_refunds = Table(
    "sample_refunds",
    metadata,
    # Not unique: that each job has one is shown, not enforced.
    Column("job_id", Uuid, nullable=False),
    Column("at", _time, nullable=False),
    ForeignKeyConstraint(["job_id"], ["ledger.id"], name="sample_refunds_job_id_fkey", ondelete="CASCADE"),
    # LedgerReads.refunds, and the cascade.
    Index("sample_refunds_job_idx", "job_id"),
)

scans = Table(
    "scans",
    metadata,
    Column("name", Text, nullable=False),
    Column("due_at", _time, nullable=False),
    PrimaryKeyConstraint("name", name="scans_pkey"),
    CheckConstraint(_HELD.format("due_at"), name="scans_due_at_check"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", Uuid, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    # NULL only while its unit of work is under way.
    Column("answer", LargeBinary),
    Column("kept_at", _time, nullable=False),
    PrimaryKeyConstraint("user_id", "key", name="idempotency_keys_pkey"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="idempotency_keys_user_id_fkey", ondelete="CASCADE"),
    CheckConstraint("char_length(key) BETWEEN 1 AND 255", name="idempotency_keys_key_check"),
    # Upkeep.remove.
    Index("idempotency_keys_kept_idx", "kept_at"),
)
