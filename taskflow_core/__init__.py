"""TaskFlow's domain: tasks, users, permissions, and the use cases over ports that adapters implement.

It imports the standard library only. The ports stand in `taskflow_core.ports`.
"""

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
    LastAdmin,
    NotFound,
    Overloaded,
    RateLimited,
    RefreshReused,
    TaskFlowError,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
    UnknownOwner,
    VersionMismatch,
)
from taskflow_core.fields import UNSET, Unset
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
from taskflow_core.use_cases.tasks.batch import Batch, BatchAction, BatchItem, ChangeTasks
from taskflow_core.use_cases.tasks.change import ChangeTask, TaskChange
from taskflow_core.use_cases.tasks.create import CreateTask, NewTask
from taskflow_core.use_cases.tasks.delete import DeleteTask, RestoreTask, TaskDeletion, TaskRestoration
from taskflow_core.use_cases.tasks.find import CountTasks, FindTask, ListTasks, ReadHistory
from taskflow_core.use_cases.users.change import ChangeUser, UserChange
from taskflow_core.use_cases.users.create import CreateUser, NewUser
from taskflow_core.use_cases.users.delete import DeleteUser, PurgeUsers, UserDeletion
from taskflow_core.use_cases.users.find import FindUser, ListUsers
from taskflow_core.users import Credentials, Role, User, UserChanges, UserView

__version__ = "0.1.0"

__all__ = [
    "PERMISSIONS",
    "UNSET",
    "Action",
    "Actor",
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
    "Conflict",
    "Contention",
    "CountTasks",
    "CreateTask",
    "CreateUser",
    "Credentials",
    "DeadlineExceeded",
    "Decision",
    "DeleteTask",
    "DeleteUser",
    "EmailTaken",
    "End",
    "EndSession",
    "EndSessions",
    "EventQuery",
    "EventType",
    "Fault",
    "FieldChange",
    "FindTask",
    "FindUser",
    "Forbidden",
    "HistoryEntry",
    "HistoryPage",
    "HistoryQuery",
    "Identity",
    "InvalidCredentials",
    "InvalidInput",
    "InvalidTransition",
    "LastAdmin",
    "Limit",
    "ListSessions",
    "ListTasks",
    "ListUsers",
    "LogIn",
    "LogInAttempt",
    "NewTask",
    "NewUser",
    "NotFound",
    "Origin",
    "Overloaded",
    "Page",
    "PasswordChange",
    "PasswordReset",
    "Permission",
    "Position",
    "Priority",
    "PurgeUsers",
    "Rate",
    "RateLimited",
    "ReadEvents",
    "ReadHistory",
    "RefreshReused",
    "RefreshSession",
    "Refreshed",
    "Register",
    "Registration",
    "ResetPassword",
    "RestoreTask",
    "Role",
    "SecurityEvent",
    "Session",
    "SessionView",
    "SetPassword",
    "SignedIn",
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
    "TokenPairs",
    "TooManyAttempts",
    "Unauthenticated",
    "Unavailable",
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
]
