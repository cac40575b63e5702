"""TaskFlow's domain: tasks, users, permissions, and the use cases over ports that adapters implement.

It imports the standard library only. The ports stand in `taskflow_core.ports`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from taskflow_core.errors import (
    BatchFailed,
    BatchResult,
    Conflict,
    Contention,
    DeadlineExceeded,
    EmailTaken,
    Fault,
    Forbidden,
    InvalidCredentials,
    InvalidInput,
    InvalidTransition,
    JobNotDead,
    KeyReused,
    LastAdmin,
    LeaseLost,
    NotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    RefreshReused,
    RequestInProgress,
    TaskFlowError,
    TooManyAttempts,
    Unaddressable,
    Unauthenticated,
    Unavailable,
    Undeliverable,
    UnknownOwner,
    VersionMismatch,
)
from taskflow_core.fields import UNSET, Unset
from taskflow_core.idempotency import Once, Replayed
from taskflow_core.ledger import (
    JobKind,
    JobQuery,
    JobState,
    JobStats,
    JobView,
    KindStats,
    LedgerEntry,
    ScanStats,
    back_off,
)
from taskflow_core.notices import Notice, NoticeKind
from taskflow_core.permissions import PERMISSIONS, Actor, Permission
from taskflow_core.queries import (
    HistoryPage,
    HistoryQuery,
    Page,
    Position,
    TaskQuery,
    TaskSort,
    UserQuery,
    UserSort,
)
from taskflow_core.quota import Quota
from taskflow_core.rate_limits import Decision, Limit, Rate
from taskflow_core.security_events import EventQuery, EventType, SecurityEvent
from taskflow_core.sessions import End, Identity, Origin, Refreshed, Session, SessionView
from taskflow_core.tasks import (
    Action,
    FieldChange,
    HistoryEntry,
    Priority,
    Status,
    Task,
    TaskChanges,
    TaskStats,
    TaskView,
)
from taskflow_core.throttle import Attempt
from taskflow_core.users import Credentials, Role, User, UserChanges, UserView

__version__ = "0.1.0"

if TYPE_CHECKING:
    from taskflow_core.use_cases.auth.authenticate import Authenticate
    from taskflow_core.use_cases.auth.change_password import (
        ChangePassword,
        PasswordChange,
        PasswordReset,
        ResetPassword,
        SetPassword,
    )
    from taskflow_core.use_cases.auth.log_in import LogIn, LogInAttempt
    from taskflow_core.use_cases.auth.manage_sessions import EndSession, EndSessions, ListSessions
    from taskflow_core.use_cases.auth.read_events import ReadEvents
    from taskflow_core.use_cases.auth.refresh import RefreshSession
    from taskflow_core.use_cases.auth.register import Register, Registration
    from taskflow_core.use_cases.auth.signing_in import SignedIn, TokenPairs
    from taskflow_core.use_cases.bundle import UseCases
    from taskflow_core.use_cases.ledger.clean_up import CleanUp, ScheduleCleanUp
    from taskflow_core.use_cases.ledger.dead_letters import (
        CountJobs,
        DeadJobs,
        DiscardJob,
        FindJob,
        ListJobs,
        Retried,
        RetryJob,
        RetryJobs,
    )
    from taskflow_core.use_cases.ledger.reconcile import Reconcile
    from taskflow_core.use_cases.ledger.run import Effect, Handler, Outcome, Ran, RunJob, Skipped
    from taskflow_core.use_cases.ledger.sample import AddSample, RefundSample, Sample
    from taskflow_core.use_cases.ledger.tell import (
        TellAssigned,
        TellOverdue,
        TellReassigned,
        TellSecurityEvent,
    )
    from taskflow_core.use_cases.tasks.batch import Batch, BatchAction, BatchItem, ChangeTasks
    from taskflow_core.use_cases.tasks.change import ChangeTask, TaskChange
    from taskflow_core.use_cases.tasks.create import CreateTask, NewTask
    from taskflow_core.use_cases.tasks.delete import DeleteTask, RestoreTask, TaskDeletion, TaskRestoration
    from taskflow_core.use_cases.tasks.find import CountTasks, FindTask, ListTasks, ReadHistory
    from taskflow_core.use_cases.tasks.notify_overdue import NotifyOverdue
    from taskflow_core.use_cases.users.change import ChangeUser, UserChange
    from taskflow_core.use_cases.users.create import CreateUser, NewUser
    from taskflow_core.use_cases.users.delete import DeleteUser, PurgeUsers, UserDeletion
    from taskflow_core.use_cases.users.find import FindUser, ListUsers

__all__ = [
    "PERMISSIONS",
    "UNSET",
    "Action",
    "Actor",
    "AddSample",
    "Attempt",
    "Authenticate",
    "Batch",
    "BatchAction",
    "BatchFailed",
    "BatchItem",
    "BatchResult",
    "ChangePassword",
    "ChangeTask",
    "ChangeTasks",
    "ChangeUser",
    "CleanUp",
    "Conflict",
    "Contention",
    "CountJobs",
    "CountTasks",
    "CreateTask",
    "CreateUser",
    "Credentials",
    "DeadJobs",
    "DeadlineExceeded",
    "Decision",
    "DeleteTask",
    "DeleteUser",
    "DiscardJob",
    "Effect",
    "EmailTaken",
    "End",
    "EndSession",
    "EndSessions",
    "EventQuery",
    "EventType",
    "Fault",
    "FieldChange",
    "FindJob",
    "FindTask",
    "FindUser",
    "Forbidden",
    "Handler",
    "HistoryEntry",
    "HistoryPage",
    "HistoryQuery",
    "Identity",
    "InvalidCredentials",
    "InvalidInput",
    "InvalidTransition",
    "JobKind",
    "JobNotDead",
    "JobQuery",
    "JobState",
    "JobStats",
    "JobView",
    "KeyReused",
    "KindStats",
    "LastAdmin",
    "LeaseLost",
    "LedgerEntry",
    "Limit",
    "ListJobs",
    "ListSessions",
    "ListTasks",
    "ListUsers",
    "LogIn",
    "LogInAttempt",
    "NewTask",
    "NewUser",
    "NotFound",
    "Notice",
    "NoticeKind",
    "NotifyOverdue",
    "Once",
    "Origin",
    "Outcome",
    "Overloaded",
    "Page",
    "PasswordChange",
    "PasswordReset",
    "Permission",
    "Position",
    "Priority",
    "PurgeUsers",
    "Quota",
    "QuotaExceeded",
    "Ran",
    "Rate",
    "RateLimited",
    "ReadEvents",
    "ReadHistory",
    "Reconcile",
    "RefreshReused",
    "RefreshSession",
    "Refreshed",
    "RefundSample",
    "Register",
    "Registration",
    "Replayed",
    "RequestInProgress",
    "ResetPassword",
    "RestoreTask",
    "Retried",
    "RetryJob",
    "RetryJobs",
    "Role",
    "RunJob",
    "Sample",
    "ScanStats",
    "ScheduleCleanUp",
    "SecurityEvent",
    "Session",
    "SessionView",
    "SetPassword",
    "SignedIn",
    "Skipped",
    "Status",
    "Task",
    "TaskChange",
    "TaskChanges",
    "TaskDeletion",
    "TaskFlowError",
    "TaskQuery",
    "TaskRestoration",
    "TaskSort",
    "TaskStats",
    "TaskView",
    "TellAssigned",
    "TellOverdue",
    "TellReassigned",
    "TellSecurityEvent",
    "TokenPairs",
    "TooManyAttempts",
    "Unaddressable",
    "Unauthenticated",
    "Unavailable",
    "Undeliverable",
    "UnknownOwner",
    "Unset",
    "UseCases",
    "User",
    "UserChange",
    "UserChanges",
    "UserDeletion",
    "UserQuery",
    "UserSort",
    "UserView",
    "VersionMismatch",
    "__version__",
    "back_off",
]

_USE_CASES = {
    "AddSample": "ledger.sample",
    "Authenticate": "auth.authenticate",
    "Batch": "tasks.batch",
    "BatchAction": "tasks.batch",
    "BatchItem": "tasks.batch",
    "ChangePassword": "auth.change_password",
    "ChangeTask": "tasks.change",
    "ChangeTasks": "tasks.batch",
    "ChangeUser": "users.change",
    "CleanUp": "ledger.clean_up",
    "CountJobs": "ledger.dead_letters",
    "CountTasks": "tasks.find",
    "CreateTask": "tasks.create",
    "CreateUser": "users.create",
    "DeadJobs": "ledger.dead_letters",
    "DeleteTask": "tasks.delete",
    "DeleteUser": "users.delete",
    "DiscardJob": "ledger.dead_letters",
    "Effect": "ledger.run",
    "EndSession": "auth.manage_sessions",
    "EndSessions": "auth.manage_sessions",
    "FindJob": "ledger.dead_letters",
    "FindTask": "tasks.find",
    "FindUser": "users.find",
    "Handler": "ledger.run",
    "ListJobs": "ledger.dead_letters",
    "ListSessions": "auth.manage_sessions",
    "ListTasks": "tasks.find",
    "ListUsers": "users.find",
    "LogIn": "auth.log_in",
    "LogInAttempt": "auth.log_in",
    "NewTask": "tasks.create",
    "NewUser": "users.create",
    "NotifyOverdue": "tasks.notify_overdue",
    "Outcome": "ledger.run",
    "PasswordChange": "auth.change_password",
    "PasswordReset": "auth.change_password",
    "PurgeUsers": "users.delete",
    "Ran": "ledger.run",
    "ReadEvents": "auth.read_events",
    "ReadHistory": "tasks.find",
    "Reconcile": "ledger.reconcile",
    "RefreshSession": "auth.refresh",
    "RefundSample": "ledger.sample",
    "Register": "auth.register",
    "Registration": "auth.register",
    "ResetPassword": "auth.change_password",
    "RestoreTask": "tasks.delete",
    "Retried": "ledger.dead_letters",
    "RetryJob": "ledger.dead_letters",
    "RetryJobs": "ledger.dead_letters",
    "RunJob": "ledger.run",
    "Sample": "ledger.sample",
    "ScheduleCleanUp": "ledger.clean_up",
    "SetPassword": "auth.change_password",
    "SignedIn": "auth.signing_in",
    "Skipped": "ledger.run",
    "TaskChange": "tasks.change",
    "TaskDeletion": "tasks.delete",
    "TaskRestoration": "tasks.delete",
    "TellAssigned": "ledger.tell",
    "TellOverdue": "ledger.tell",
    "TellReassigned": "ledger.tell",
    "TellSecurityEvent": "ledger.tell",
    "TokenPairs": "auth.signing_in",
    "UseCases": "bundle",
    "UserChange": "users.change",
    "UserDeletion": "users.delete",
}
"""Name to module in `taskflow_core.use_cases`. They are half of the time that an import takes."""

if not TYPE_CHECKING:  # pragma: no branch - type checkers alone take the other

    def __getattr__(name: str) -> object:
        """Load a use case, or one of its commands, when it is first asked for."""
        if name not in _USE_CASES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f"taskflow_core.use_cases.{_USE_CASES[name]}"), name)
        return found
