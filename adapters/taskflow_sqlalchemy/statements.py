"""Every statement that commands and queries run, in one place, each compiled once.

The parameters of a write are rows in JSON: one parameter whatever their number, so that a batch of
1,000 is as many statements as a batch of 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import Uuid, bindparam, tuple_
from sqlalchemy.dialects.postgresql.psycopg import dialect
from sqlalchemy.sql.elements import ClauseElement

from taskflow_sqlalchemy.ledger_statements import ADD_JOBS

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select

Statement: TypeAlias = tuple[str, dict[str, Any]]
"""A statement and its parameters."""

_DIALECT: Final = dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


def compiled(statement: ClauseElement) -> str:
    """Return a statement of SQLAlchemy Core as the driver takes it, parameters by name.

    Raises:
        ValueError: It holds a value: every parameter is to be a `bindparam` that the caller fills.
    """
    result = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    if any(value is not None for value in (result.params or {}).values()):
        raise ValueError(f"A value stands in the statement: {result.params}")
    return str(result)


def newest_of(
    statement: Select[Any],
    column: ColumnElement[str],
    value: ColumnElement[str],
    id: ColumnElement[UUID],
    *,
    after: bool,
) -> Select[Any]:
    """Return a list's statement for the rows with one value in a column, newest first, by the index of both.

    In the order of ids alone PostgreSQL might take the primary key, and go through the rows of all values
    for as long as it takes to find enough of a rare one. So it is not let know that the value is one.

    Args:
        statement: What to select, without an order.
        column: The first column of the index.
        value: Its value, a parameter.
        id: The second.
        after: Whether to go on after the parameter `after`.
    """
    last = tuple_(column, id) < tuple_(value, bindparam("after", type_=Uuid)) if after else column <= value
    return statement.where(column >= value, last).order_by(column.desc(), id.desc())


_OF_OWNER: Final = "id = ANY(%(ids)s::uuid[]) AND (%(of_owner)s::uuid IS NULL OR user_id = %(of_owner)s)"
"""Rows of other owners are left out before they are locked, so nobody waits for them."""

LOCK_OWNERS: Final = f"""
SELECT id, deleted_at IS NULL FROM users WHERE id IN (
  SELECT user_id FROM tasks WHERE {_OF_OWNER} UNION SELECT unnest(%(owners)s::uuid[]))
ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608 put together from constants
"""The owners of tasks and those who are to get them. NO KEY: inserting a task must not wait for it."""

LOCK_TASKS: Final = f"""
SELECT id, user_id, title, description, status, priority, due_date,
       created_at, updated_at, completed_at, deleted_at, version
FROM tasks WHERE {_OF_OWNER} ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608 put together from constants

_HISTORY: Final = """
INSERT INTO task_history (task_id, version, id, at, actor_id, action, changes, request_id)
SELECT h.task_id, h.version, h.id, h.at, h.actor_id, h.action, h.changes, h.request_id
FROM json_to_recordset(%(history)s::json) AS h(
  task_id uuid, version int, id uuid, at timestamptz, actor_id uuid, action text,
  changes jsonb, request_id text)
"""

LOCK_TASKS_WITHOUT_TEXTS: Final = LOCK_TASKS.replace("description", "NULL::text")
"""A thousand descriptions are 40 MB, and most changes need none of them."""

_GROW: Final = """
  UPDATE users SET data_version = data_version + 1,
    tasks_kept = CASE
      WHEN growth.tasks > 0 AND tasks_kept + growth.tasks > %(quota_tasks)s::bigint
        OR growth.bytes > 0 AND bytes_kept + growth.bytes > %(quota_bytes)s::bigint
      THEN -1 ELSE greatest(0, tasks_kept + growth.tasks) END,
    bytes_kept = greatest(0, bytes_kept + growth.bytes)
  FROM growth WHERE users.id = growth.owner AND users.id = ANY(%(owners)s::uuid[])
"""
"""Counts what the owners keep. Beyond the quota (`Quota.refuses`) it breaks `users_quota_check`.

So the rule holds for the row as others left it, and costs no trip of its own.
"""

ADD_TASKS: Final = f"""
WITH x AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%(tasks)s::json) AS x(
    id uuid, user_id uuid, title text, description text, status text, priority smallint,
    due_date timestamptz, created_at timestamptz, updated_at timestamptz, completed_at timestamptz,
    deleted_at timestamptz, version int, told bool)
), growth AS (
  SELECT user_id AS owner, count(*) AS tasks,
    sum(octet_length(title) + coalesce(octet_length(description), 0)) AS bytes
  FROM x GROUP BY user_id
), owners AS ({_GROW} AND deleted_at IS NULL RETURNING id
), complete AS (
  -- All owners or nothing: with one missing no row is written.
  SELECT 1 WHERE (SELECT count(*) FROM owners) = cardinality(%(owners)s::uuid[])
), added AS (
  INSERT INTO tasks (id, user_id, title, description, status, priority, due_date,
                     created_at, updated_at, completed_at, deleted_at, version, notified_due_date)
  SELECT x.id, x.user_id, x.title, x.description, x.status, x.priority, x.due_date,
         x.created_at, x.updated_at, x.completed_at, x.deleted_at, x.version,
         CASE WHEN x.told AND x.due_date < now() THEN x.due_date END
  FROM x, complete RETURNING id
), told AS ({_HISTORY} JOIN added ON added.id = h.task_id)
SELECT id FROM added
"""  # noqa: S608 put together from constants
"""Owners first, as everywhere. Returns the ids of those added: none where an owner does not exist."""

ADD_TASKS_AND_JOBS: Final = ADD_TASKS.replace(
    "\nSELECT id FROM added", f", work AS ({ADD_JOBS}, complete)\nSELECT id FROM added"
)
"""With background work that is there if the tasks are: one statement, and so one round trip."""

SAVE_TASKS: Final = f"""
WITH x AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%(tasks)s::json) AS x(
    id uuid, user_id uuid, title text, description text, description_moved bool, status text,
    priority smallint, due_date timestamptz, updated_at timestamptz, completed_at timestamptz,
    deleted_at timestamptz, version int)
), sizes AS (
  SELECT tasks.user_id AS former, x.user_id AS owner,
    octet_length(tasks.title) + coalesce(octet_length(tasks.description), 0) AS before,
    octet_length(coalesce(x.title, tasks.title)) + coalesce(octet_length(
      CASE WHEN x.description_moved THEN x.description ELSE tasks.description END), 0) AS after
  FROM x JOIN tasks ON tasks.id = x.id
), growth AS (
  SELECT owner, sum(tasks)::bigint AS tasks, sum(bytes) AS bytes FROM (
    SELECT former AS owner, -1 AS tasks, -before AS bytes FROM sizes
    UNION ALL SELECT owner, 1, after FROM sizes) AS moves
  GROUP BY owner
), owners AS ({_GROW}
), saved AS (
  UPDATE tasks SET user_id = x.user_id, title = coalesce(x.title, tasks.title),
    description = CASE WHEN x.description_moved THEN x.description ELSE tasks.description END,
    status = x.status, priority = x.priority, due_date = x.due_date, updated_at = x.updated_at,
    completed_at = x.completed_at, deleted_at = x.deleted_at, version = x.version
  FROM x WHERE tasks.id = x.id
){_HISTORY}
"""  # noqa: S608 put together from constants
"""For rows that this unit of work holds locked. Long texts travel only where they changed."""

_USER_COLUMNS: Final = (
    "id, email, name, password_hash, role, active, created_at, updated_at, "
    "version, deleted_at, password_version, notifications"
)

LOCK_USER: Final = f"""
SELECT {_USER_COLUMNS} FROM users WHERE id = %(id)s AND deleted_at IS NULL FOR NO KEY UPDATE
"""  # noqa: S608 put together from constants

LOCK_USERS: Final = f"""
SELECT {_USER_COLUMNS} FROM users
WHERE id = ANY(%(ids)s::uuid[]) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608 put together from constants

LOCK_USERS_AND_ADMINS: Final = f"""
SELECT {_USER_COLUMNS} FROM users
WHERE (id = ANY(%(ids)s::uuid[]) OR role = 'admin') AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608 put together from constants

ADD_USER: Final = f"""
INSERT INTO users ({_USER_COLUMNS})
VALUES (%(id)s, %(email)s, %(name)s, %(password_hash)s, %(role)s, %(active)s,
        %(created_at)s, %(updated_at)s, %(version)s, %(deleted_at)s, %(password_version)s,
        %(notifications)s)
"""  # noqa: S608 put together from constants

SAVE_USER: Final = """
UPDATE users SET email = %(email)s, name = %(name)s, password_hash = %(password_hash)s, role = %(role)s,
  active = %(active)s, updated_at = %(updated_at)s, version = %(version)s, deleted_at = %(deleted_at)s,
  password_version = %(password_version)s, notifications = %(notifications)s
WHERE id = %(id)s
"""

PURGE_TASKS: Final = """
WITH gone AS (
  SELECT tasks.id FROM users JOIN tasks ON tasks.user_id = users.id
  WHERE users.deleted_at IS NOT NULL LIMIT %(limit)s FOR UPDATE OF tasks SKIP LOCKED
)
DELETE FROM tasks WHERE id = ANY(ARRAY(SELECT id FROM gone))
"""
"""Waits for nobody, so it cannot deadlock; a cascade over thousands of rows would."""

PURGE_FORMER_EMAILS: Final = """
WITH gone AS (
  SELECT ledger.id FROM users JOIN ledger ON ledger.subject = users.id AND ledger.payload ? 'former_email'
  WHERE users.deleted_at IS NOT NULL LIMIT %(limit)s FOR UPDATE OF ledger SKIP LOCKED
)
DELETE FROM ledger WHERE id = ANY(ARRAY(SELECT id FROM gone))
"""
"""Jobs that hold an address (`FORMER_EMAIL`), in whatever state: no key binds them to their user."""

PURGE_USERS: Final = """
WITH gone AS (
  SELECT id FROM users
  WHERE deleted_at IS NOT NULL AND NOT EXISTS (SELECT FROM tasks WHERE tasks.user_id = users.id)
    AND NOT EXISTS (SELECT FROM ledger WHERE ledger.subject = users.id AND payload ? 'former_email')
  LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
DELETE FROM users WHERE id = ANY(ARRAY(SELECT id FROM gone))
"""

_SESSION_COLUMNS: Final = (
    "id, user_id, seed, generation, replaced, address, network, user_agent, "
    "created_at, last_used_at, ended_at, end_reason"
)

LOCK_SESSION: Final = f"""
SELECT {_SESSION_COLUMNS} FROM sessions WHERE id = %(id)s FOR NO KEY UPDATE
"""  # noqa: S608 put together from constants

LOCK_SESSIONS: Final = f"""
SELECT {_SESSION_COLUMNS} FROM sessions WHERE {_OF_OWNER} ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608 put together from constants

CLOCK: Final = "SELECT clock_timestamp()"
"""The store's time now, not when its transaction began: asked after a lock, it is the time after the wait."""

OPEN_SESSION: Final = f"""
INSERT INTO sessions ({_SESSION_COLUMNS})
SELECT %(id)s::uuid, users.id, %(seed)s::bytea, %(generation)s::int, %(replaced)s::timestamptz[],
       %(address)s::text, %(network)s::text, %(user_agent)s::text, %(created_at)s::timestamptz,
       %(last_used_at)s::timestamptz, %(ended_at)s::timestamptz, %(end_reason)s::text
FROM users WHERE users.id = %(user_id)s AND users.password_version = %(password_version)s
  AND users.active AND users.deleted_at IS NULL
FOR SHARE
"""  # noqa: S608 put together from constants
"""Waits for a password change under way, and then sees it: no session slips in by the old password."""

SAVE_SESSION: Final = """
UPDATE sessions SET generation = %(generation)s, replaced = %(replaced)s, last_used_at = %(last_used_at)s,
  ended_at = %(ended_at)s, end_reason = %(end_reason)s
WHERE id = %(id)s
"""

END_SESSIONS: Final = """
WITH live AS (
  SELECT id FROM sessions
  WHERE user_id = %(user_id)s AND ended_at IS NULL AND id IS DISTINCT FROM %(but)s::uuid
  ORDER BY id FOR NO KEY UPDATE
)
UPDATE sessions SET ended_at = %(now)s, end_reason = %(end)s FROM live WHERE sessions.id = live.id
"""

ADD_EVENT: Final = """
INSERT INTO security_events (id, user_id, type, at, detail)
VALUES (%(id)s, %(user_id)s, %(type)s, %(at)s, %(detail)s::jsonb)
"""

_LIVE_SESSION: Final = """
sessions.ended_at IS NULL AND sessions.last_used_at > now() - %(idle)s::interval
  AND sessions.created_at > now() - %(lifetime)s::interval
"""

IDENTITIES: Final = f"""
SELECT sessions.id, users.id, users.role, users.data_version
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id = ANY(%(ids)s::uuid[]) AND users.active AND users.deleted_at IS NULL AND {_LIVE_SESSION}
"""  # noqa: S608 put together from constants
"""Who asks, of all the sessions of one moment."""

SESSIONS_OF_USER: Final = f"""
SELECT id, created_at, last_used_at, user_agent FROM sessions
WHERE user_id = %(user_id)s AND {_LIVE_SESSION}
ORDER BY last_used_at DESC, id DESC LIMIT %(rows)s
"""  # noqa: S608 put together from constants

BEGIN_ATTEMPT: Final = """
INSERT INTO login_attempts AS tries (subject, number, tried_at) VALUES (%(subject)s, 1, clock_timestamp())
ON CONFLICT (subject) DO UPDATE
SET tried_at = clock_timestamp(), number = CASE
  WHEN tries.tried_at < clock_timestamp() - %(forgotten)s::interval THEN 1
  ELSE least(tries.number, 1000000) + 1 END
WHERE tries.tried_at + (%(delays)s::interval[])[least(tries.number, cardinality(%(delays)s::interval[]))]
  <= clock_timestamp()
RETURNING number
"""
"""Counted under the row's lock, before the password is looked at. No row: it has to wait."""

WAIT_OF_ATTEMPT: Final = """
SELECT number, tried_at + (%(delays)s::interval[])[least(number, cardinality(%(delays)s::interval[]))]
  - clock_timestamp()
FROM login_attempts WHERE subject = %(subject)s
"""

FORGET_ATTEMPTS: Final = "DELETE FROM login_attempts WHERE subject = %(subject)s"

GIVE_BACK_ATTEMPT: Final = """
WITH last AS (DELETE FROM login_attempts WHERE subject = %(subject)s AND number = 1)
UPDATE login_attempts SET number = number - 1 WHERE subject = %(subject)s AND number > 1
"""
