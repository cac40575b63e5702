"""What PostgreSQL's refusals mean to the core: one table by constraint name, one by SQLSTATE."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import psycopg
import sqlalchemy.exc
from psycopg import errors as pg

from taskflow_core.errors import (
    Contention,
    DeadlineExceeded,
    EmailTaken,
    Fault,
    InvalidCredentials,
    InvalidInput,
    LeaseLost,
    NotFound,
    QuotaExceeded,
    TaskFlowError,
    Unauthenticated,
    Unavailable,
    UnknownOwner,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _invalid(field: str) -> Callable[[], TaskFlowError]:
    return lambda: InvalidInput([Fault((field,), "is not valid")])


CONSTRAINTS: Final[Mapping[str, Callable[[], TaskFlowError]]] = {
    # An id that exists already was made twice: whoever tries again gets another.
    "users_pkey": Contention,
    "tasks_pkey": Contention,
    "task_history_pkey": Contention,
    "users_email_key": EmailTaken,
    "tasks_user_id_fkey": UnknownOwner,
    # The task went between being locked and being written: only a broken unit of work can see this.
    "task_history_task_id_fkey": Contention,
    "users_email_check": _invalid("email"),
    "users_name_check": _invalid("name"),
    "users_role_check": _invalid("role"),
    "users_deleted_check": _invalid("active"),
    "users_version_check": _invalid("version"),
    "users_password_version_check": _invalid("password_version"),
    # Written on purpose by a statement that finds the quota exceeded.
    "users_quota_check": QuotaExceeded,
    "sessions_pkey": Contention,
    # The account was purged between being seen and this: there is nothing left to sign in to.
    "sessions_user_id_fkey": InvalidCredentials,
    "sessions_generation_check": _invalid("generation"),
    "sessions_end_check": _invalid("end"),
    "security_events_pkey": Contention,
    "security_events_user_id_fkey": NotFound,
    "login_attempts_pkey": Contention,
    "login_attempts_number_check": _invalid("number"),
    "tasks_title_check": _invalid("title"),
    "tasks_description_check": _invalid("description"),
    "tasks_status_check": _invalid("status"),
    "tasks_priority_check": _invalid("priority"),
    "tasks_completed_check": _invalid("completed_at"),
    "tasks_version_check": _invalid("version"),
    "task_history_action_check": _invalid("action"),
    "ledger_pkey": Contention,
    "ledger_state_check": _invalid("state"),
    "ledger_tries_check": _invalid("tries"),
    "ledger_lease_check": _invalid("lease_until"),
    "ledger_finished_check": _invalid("finished_at"),
    "ledger_times_check": _invalid("run_at"),
    # The job was removed under its worker's hands.
    "sample_refunds_job_id_fkey": LeaseLost,
    "scans_pkey": Contention,
    "scans_due_at_check": _invalid("due_at"),
    "idempotency_keys_pkey": Contention,
    # The account was purged between being admitted and this.
    "idempotency_keys_user_id_fkey": Unauthenticated,
    "idempotency_keys_key_check": _invalid("key"),
}
"""What the violation of each named constraint means.

The core checks the same before; this is the last word.
"""

_CONTENTION: Final = (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable)
_NOT_MIGRATED: Final = (pg.UndefinedTable, pg.UndefinedColumn)
_UNAVAILABLE: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    pg.ReadOnlySqlTransaction,
    pg.IdleInTransactionSessionTimeout,
    sqlalchemy.exc.TimeoutError,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    OSError,
    asyncio.TimeoutError,
)


def translated(error: BaseException) -> TaskFlowError | None:
    """Return what `error` means to the core; None where it means nothing there and is a fault of ours."""
    if isinstance(error, _CONTENTION):
        return Contention()
    if isinstance(error, pg.QueryCanceled):
        return DeadlineExceeded()
    if isinstance(error, psycopg.IntegrityError):
        meaning = CONSTRAINTS.get(error.diag.constraint_name or "")
        return meaning() if meaning else None
    if isinstance(error, _NOT_MIGRATED):
        return Unavailable("The database is not migrated to this version: run `taskflow migrate`.")
    if isinstance(error, pg.InsufficientPrivilege):
        return Unavailable("The database's role lacks a right: `taskflow doctor` says which.")
    return Unavailable() if isinstance(error, _UNAVAILABLE) else None


def lacks_right(error: TaskFlowError) -> bool:
    """Tell whether the database's role lacks a right, which waiting does not mend."""
    return isinstance(error.__cause__, pg.InsufficientPrivilege)


def raise_translated(error: BaseException) -> None:
    """Raise what `error` means to the core, where it means something there."""
    core_error = translated(error)
    if core_error is not None:
        raise core_error from error
