"""Every statement on background work, scans, idempotency keys, and what is removed for good.

Rows that were chosen are named as an array: a join with them would be planned for many more, and read the
whole table.
"""

from __future__ import annotations

from typing import Final

JOB_COLUMNS: Final = (
    "id, kind, subject, payload, state, tries, max_tries, fence, run_at, lease_until, error, "
    "created_at, finished_at, request_id"
)
_WITHOUT_PAYLOAD: Final = JOB_COLUMNS.replace("payload", "'{}'::jsonb AS payload")
"""Of many at once: a payload may be large, and is of no use to who only ends or retries."""

ADD_JOBS: Final = """
INSERT INTO ledger (id, kind, subject, payload, state, tries, max_tries, fence, run_at, created_at,
                    request_id)
SELECT j.id, j.kind, j.subject, j.payload, 'pending', 0, j.max_tries, 0, now() + j.delay, j.created_at,
       j.request_id
FROM json_to_recordset(%(jobs)s::json) AS j(
  id uuid, kind text, subject uuid, payload jsonb, max_tries int, delay interval, created_at timestamptz,
  request_id text)
"""

CLAIM: Final = f"""
WITH hinted AS (
  SELECT id FROM ledger
  -- The state as an expression: by its id, never through all that is due.
  WHERE id = %(hint)s::uuid AND state || '' = 'pending' AND run_at <= now()
    AND kind = ANY(%(kinds)s::text[])
  FOR NO KEY UPDATE SKIP LOCKED
), oldest AS (
  -- By kind, so that what this worker cannot do, however much there is, is not looked at.
  SELECT due.id FROM unnest(%(kinds)s::text[]) AS known(kind) CROSS JOIN LATERAL (
    SELECT id, run_at FROM ledger
    WHERE NOT EXISTS (SELECT FROM hinted) AND state = 'pending' AND run_at <= now()
      AND ledger.kind = known.kind
    ORDER BY run_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
  ) AS due ORDER BY due.run_at, due.id LIMIT 1
), chosen AS MATERIALIZED (SELECT id FROM hinted UNION ALL SELECT id FROM oldest)
UPDATE ledger SET state = 'running', tries = tries + 1, fence = fence + 1,
  lease_until = clock_timestamp() + %(lease)s::interval
WHERE id = (SELECT id FROM chosen)
RETURNING {JOB_COLUMNS}
"""  # noqa: S608 put together from constants
"""`LedgerEntry.claim`, in one statement: workers do little else."""

_HELD: Final = """
WHERE id = %(id)s AND fence = %(fence)s AND state = 'running' AND lease_until > clock_timestamp()
"""
"""Touches a row as long as the claim holds; a statement that waited for the row's lock looks again."""

FINISH: Final = f"""
UPDATE ledger SET state = 'done', lease_until = NULL, error = NULL, finished_at = clock_timestamp() {_HELD}
"""  # noqa: S608 put together from constants

RENEW: Final = f"UPDATE ledger SET lease_until = clock_timestamp() + %(lease)s::interval {_HELD}"  # noqa: S608

SAVE_JOBS: Final = """
UPDATE ledger SET state = j.state, tries = j.tries, run_at = j.run_at, lease_until = j.lease_until,
  error = j.error, finished_at = j.finished_at
FROM json_to_recordset(%(jobs)s::json) AS j(
  id uuid, state text, tries int, run_at timestamptz, lease_until timestamptz, error text,
  finished_at timestamptz)
WHERE ledger.id = j.id
"""
"""For rows that this unit of work holds locked."""

REMOVE_JOBS: Final = "DELETE FROM ledger WHERE id = ANY(%(ids)s::uuid[])"

LOCK_JOB: Final = f"SELECT {JOB_COLUMNS} FROM ledger WHERE id = %(id)s FOR NO KEY UPDATE"  # noqa: S608

LOCK_EXPIRED: Final = f"""
SELECT {_WITHOUT_PAYLOAD} FROM ledger WHERE state = 'running' AND lease_until < now()
ORDER BY lease_until LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
"""  # noqa: S608 put together from constants

LOCK_DEAD: Final = f"""
SELECT {_WITHOUT_PAYLOAD} FROM ledger
WHERE state = 'dead' AND kind = %(kind)s AND finished_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
ORDER BY finished_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
"""  # noqa: S608 put together from constants

DUE_JOBS: Final = """
WITH RECURSIVE known AS (
  (SELECT kind FROM ledger WHERE state = 'pending' ORDER BY kind LIMIT 1)
  UNION ALL
  SELECT (SELECT kind FROM ledger WHERE state = 'pending' AND ledger.kind > known.kind ORDER BY kind LIMIT 1)
  FROM known WHERE known.kind IS NOT NULL
)
SELECT due.id FROM known CROSS JOIN LATERAL (
  SELECT id, run_at FROM ledger
  WHERE state = 'pending' AND ledger.kind = known.kind AND run_at <= now()
  ORDER BY run_at, id LIMIT %(limit)s
) AS due ORDER BY due.run_at, due.id LIMIT %(limit)s
"""
"""From kind to kind along the index, and of each the longest due."""

UNFINISHED_KINDS: Final = """
SELECT known.kind FROM unnest(%(kinds)s::text[]) AS known(kind)
WHERE EXISTS (SELECT FROM ledger WHERE state = 'pending' AND ledger.kind = known.kind)
UNION
SELECT kind FROM ledger WHERE state = 'running' AND kind = ANY(%(kinds)s::text[])
"""

COUNT_JOBS: Final = """
SELECT kind, sum(due)::bigint, sum(scheduled)::bigint, sum(running)::bigint, sum(dead)::bigint, min(oldest)
FROM (
  SELECT kind, count(*) FILTER (WHERE run_at <= now()) AS due, count(*) FILTER (WHERE run_at > now())
    AS scheduled, 0 AS running, 0 AS dead, min(run_at) FILTER (WHERE run_at <= now()) AS oldest
  FROM ledger WHERE state = 'pending' GROUP BY kind
  UNION ALL
  SELECT kind, 0, 0, count(*), 0, NULL FROM ledger WHERE state = 'running' GROUP BY kind
  UNION ALL
  SELECT kind, 0, 0, 0, count(*), NULL FROM ledger WHERE state = 'dead' GROUP BY kind
) AS counted GROUP BY kind ORDER BY kind
"""
"""By state, so that each part has its index and what is done is not looked at."""

REFUND: Final = "INSERT INTO sample_refunds (job_id, at) VALUES (%(job_id)s, clock_timestamp())"
COUNT_REFUNDS: Final = "SELECT count(*) FROM sample_refunds WHERE job_id = %(job_id)s"

TAKE_SCAN: Final = "SELECT name FROM scans WHERE name = %(name)s AND due_at <= now() FOR UPDATE SKIP LOCKED"
PUT_OFF_SCAN: Final = (
    "UPDATE scans SET due_at = clock_timestamp() + %(delay)s::interval WHERE name = %(name)s"
)

DUE_SCANS: Final = "SELECT name, due_at FROM scans ORDER BY name"

TELL_OVERDUE: Final = """
WITH due AS MATERIALIZED (
  SELECT id, due_date FROM tasks
  WHERE deleted_at IS NULL AND status IN ('PENDING', 'IN_PROGRESS')
    AND notified_due_date IS DISTINCT FROM due_date AND (due_date = ANY (told_due_dates)) IS NOT TRUE
    AND due_date < now()
  ORDER BY due_date, id LIMIT cardinality(%(ids)s::uuid[]) FOR NO KEY UPDATE SKIP LOCKED
), numbered AS (
  SELECT id, due_date, row_number() OVER (ORDER BY due_date, id) AS number FROM due
), marked AS (
  UPDATE tasks SET notified_due_date = due_date, told_due_dates = CASE WHEN notified_due_date IS NULL
    THEN told_due_dates ELSE (array_append(told_due_dates, notified_due_date))
      [greatest(cardinality(told_due_dates) + 3 - %(kept)s::int, 1):] END
  WHERE id = ANY(ARRAY(SELECT id FROM due))
)
INSERT INTO ledger (id, kind, subject, payload, state, tries, max_tries, fence, run_at, created_at)
SELECT given.id, 'task.overdue', numbered.id, jsonb_build_object('due_date',
         to_char(due_date AT TIME ZONE 'UTC', CASE WHEN date_trunc('second', due_date) = due_date
           THEN 'YYYY-MM-DD"T"HH24:MI:SS"Z"' ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' END)),
       'pending', 0, %(max_tries)s::int, 0, now(), now()
FROM numbered JOIN unnest(%(ids)s::uuid[]) WITH ORDINALITY AS given(id, number) USING (number)
RETURNING id
"""
"""Waits for nobody: a task that somebody changes just now is the next round's.

What was told of is `notified_due_date` and, where there was another before it, `told_due_dates`: of most
tasks no array is ever written. Both together hold the last `kept`.
"""

REARM: Final = """
UPDATE tasks SET notified_due_date = nullif(notified_due_date, %(due_date)s::timestamptz),
  told_due_dates = nullif(array_remove(told_due_dates, %(due_date)s::timestamptz), '{}')
WHERE id = %(id)s
  AND (notified_due_date = %(due_date)s::timestamptz OR %(due_date)s::timestamptz = ANY (told_due_dates))
"""

WAIT_FOR_KEY: Final = """
SELECT set_config('taskflow.lock_timeout', current_setting('lock_timeout'), true),
       set_config('taskflow.statement_timeout', current_setting('statement_timeout'), true),
       set_config('lock_timeout', %(lock)s, true), set_config('statement_timeout', %(statement)s, true)
"""
WAIT_NO_LONGER: Final = """
SELECT set_config('lock_timeout', current_setting('taskflow.lock_timeout'), true),
       set_config('statement_timeout', current_setting('taskflow.statement_timeout'), true)
"""
"""Back to what a host may have set for its own transaction."""

TAKE_KEY: Final = """
INSERT INTO idempotency_keys AS k (user_id, key, fingerprint, kept_at)
VALUES (%(owner)s, %(key)s, %(fingerprint)s::bytea, clock_timestamp())
ON CONFLICT (user_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, answer = NULL, kept_at = excluded.kept_at
WHERE k.kept_at < clock_timestamp() - %(kept)s::interval
RETURNING true
"""
"""Waits for whoever has the key; a row comes back where it is this unit's now."""

READ_KEY: Final = """
SELECT fingerprint, answer FROM idempotency_keys WHERE user_id = %(owner)s AND key = %(key)s
"""
"""In a statement of its own: the one that waited sees what was before it waited."""

KEEP_ANSWER: Final = """
UPDATE idempotency_keys SET answer = %(answer)s::bytea, kept_at = clock_timestamp()
WHERE user_id = %(owner)s AND key = %(key)s
"""

_OLDEST_SESSION: Final = (
    "(lpad(to_hex((extract(epoch FROM now() - %(kept)s::interval) * 1000)::bigint), 12, '0') "
    "|| repeat('0', 20))::uuid"
)
"""The least UUIDv7 of that time, so that the primary key bounds what is looked at."""

REMOVE_SESSIONS: Final = f"""
WITH gone AS (
  SELECT id FROM sessions WHERE id < {_OLDEST_SESSION} AND created_at < now() - %(kept)s::interval
  ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
DELETE FROM sessions WHERE id = ANY(ARRAY(SELECT id FROM gone))
"""  # noqa: S608 put together from constants

REMOVE_KEYS: Final = """
WITH gone AS (
  SELECT ctid FROM idempotency_keys WHERE kept_at < now() - %(kept)s::interval
  ORDER BY kept_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(SELECT ctid FROM gone))
"""

REMOVE_DONE: Final = """
WITH gone AS (
  SELECT id FROM ledger WHERE state = 'done' AND finished_at < now() - %(kept)s::interval
  ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
DELETE FROM ledger WHERE id = ANY(ARRAY(SELECT id FROM gone))
"""

REMOVE_DEAD: Final = """
WITH gone AS (
  SELECT old.id FROM unnest(%(kinds)s::text[]) AS known(kind) CROSS JOIN LATERAL (
    SELECT id FROM ledger
    WHERE state = 'dead' AND ledger.kind = known.kind AND finished_at < now() - %(kept)s::interval
    ORDER BY finished_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
  ) AS old LIMIT %(limit)s
)
DELETE FROM ledger WHERE id = ANY(ARRAY(SELECT id FROM gone))
"""

REMOVE_DELETED: Final = """
WITH old AS MATERIALIZED (
  SELECT id, user_id FROM tasks WHERE deleted_at IS NOT NULL AND deleted_at < now() - %(kept)s::interval
  ORDER BY deleted_at LIMIT %(limit)s
), owners AS MATERIALIZED (
  SELECT id FROM users WHERE id = ANY(ARRAY(SELECT user_id FROM old))
  ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), gone AS MATERIALIZED (
  SELECT id, user_id, octet_length(title) + coalesce(octet_length(description), 0) AS bytes FROM tasks
  WHERE id = ANY(ARRAY(SELECT id FROM old)) AND user_id IN (SELECT id FROM owners)
    AND deleted_at IS NOT NULL AND deleted_at < now() - %(kept)s::interval
  FOR UPDATE SKIP LOCKED
), moved AS (
  UPDATE users SET data_version = data_version + 1,
    tasks_kept = greatest(0, tasks_kept - freed.tasks), bytes_kept = greatest(0, bytes_kept - freed.bytes)
  FROM (SELECT user_id, count(*) AS tasks, sum(bytes) AS bytes FROM gone GROUP BY user_id) AS freed
  WHERE users.id = freed.user_id AND users.id = ANY(ARRAY(SELECT user_id FROM gone))
)
DELETE FROM tasks WHERE id = ANY(ARRAY(SELECT id FROM gone))
"""
"""It is a change of the owners' tasks: their lists of deleted ones show less. Owners first, as everywhere."""

REMOVE_ATTEMPTS: Final = """
WITH gone AS (
  SELECT subject FROM login_attempts WHERE tried_at < now() - %(kept)s::interval
  ORDER BY tried_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
DELETE FROM login_attempts WHERE subject = ANY(ARRAY(SELECT subject FROM gone))
"""
