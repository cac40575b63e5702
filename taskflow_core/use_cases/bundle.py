"""All use cases together, as the entrypoints and embedders take them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from taskflow_core.ledger import NOTICE_KINDS, NOTICE_TIME_LIMIT, TASK_NOTICE_KINDS, JobKind
from taskflow_core.permissions import Actor
from taskflow_core.sessions import GRACE
from taskflow_core.use_cases.auth.authenticate import Authenticate
from taskflow_core.use_cases.auth.change_password import ChangePassword, ResetPassword, SetPassword
from taskflow_core.use_cases.auth.log_in import LogIn
from taskflow_core.use_cases.auth.manage_sessions import EndSession, EndSessions, ListSessions
from taskflow_core.use_cases.auth.read_events import ReadEvents
from taskflow_core.use_cases.auth.refresh import RefreshSession
from taskflow_core.use_cases.auth.register import Register
from taskflow_core.use_cases.auth.signing_in import TokenPairs
from taskflow_core.use_cases.ledger.bulkhead import Bulkhead
from taskflow_core.use_cases.ledger.clean_up import KINDS, CleanUp, ScheduleCleanUp
from taskflow_core.use_cases.ledger.dead_letters import (
    CountJobs,
    DiscardJob,
    FindJob,
    ListJobs,
    RetryJob,
    RetryJobs,
)
from taskflow_core.use_cases.ledger.reconcile import Reconcile
from taskflow_core.use_cases.ledger.run import Handler, RunJob
from taskflow_core.use_cases.ledger.sample import AddSample, RefundSample
from taskflow_core.use_cases.ledger.tell import (
    TellAssigned,
    TellOverdue,
    TellReassigned,
    TellSecurityEvent,
)
from taskflow_core.use_cases.tasks.batch import ChangeTasks
from taskflow_core.use_cases.tasks.change import ChangeTask
from taskflow_core.use_cases.tasks.create import CreateTask
from taskflow_core.use_cases.tasks.delete import DeleteTask, RestoreTask
from taskflow_core.use_cases.tasks.find import CountTasks, FindTask, ListTasks, ReadHistory
from taskflow_core.use_cases.tasks.notify_overdue import NotifyOverdue
from taskflow_core.use_cases.users.change import ChangeUser
from taskflow_core.use_cases.users.create import CreateUser
from taskflow_core.use_cases.users.delete import DeleteUser, PurgeUsers
from taskflow_core.use_cases.users.find import FindUser, ListUsers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from uuid import UUID

    from taskflow_core.errors import BatchResult
    from taskflow_core.ledger import JobQuery, JobStats, JobView
    from taskflow_core.ports.ledger import Claims, LedgerReads
    from taskflow_core.ports.notifier import Notifier
    from taskflow_core.ports.persistence import (
        Identities,
        LoginAttempts,
        SessionReads,
        TaskReads,
        Transactions,
        UserReads,
    )
    from taskflow_core.ports.queue import Queue
    from taskflow_core.ports.security import AccessTokens, CommonPasswords, PasswordHasher, RefreshTokens
    from taskflow_core.ports.time import Chance, Clock, Ids
    from taskflow_core.queries import HistoryPage, HistoryQuery, Page, TaskQuery, UserQuery
    from taskflow_core.security_events import EventQuery, SecurityEvent
    from taskflow_core.sessions import SessionView
    from taskflow_core.tasks import HistoryEntry, TaskStats, TaskView
    from taskflow_core.use_cases.auth.change_password import PasswordChange, PasswordReset
    from taskflow_core.use_cases.auth.log_in import LogInAttempt
    from taskflow_core.use_cases.auth.register import Registration
    from taskflow_core.use_cases.auth.signing_in import SignedIn
    from taskflow_core.use_cases.ledger.dead_letters import DeadJobs, Retried
    from taskflow_core.use_cases.ledger.reconcile import Reconciled
    from taskflow_core.use_cases.ledger.run import Ran
    from taskflow_core.use_cases.ledger.sample import Sample
    from taskflow_core.use_cases.tasks.batch import Batch
    from taskflow_core.use_cases.tasks.change import TaskChange
    from taskflow_core.use_cases.tasks.create import NewTask
    from taskflow_core.use_cases.tasks.delete import TaskDeletion, TaskRestoration
    from taskflow_core.use_cases.users.change import UserChange
    from taskflow_core.use_cases.users.create import NewUser
    from taskflow_core.use_cases.users.delete import UserDeletion
    from taskflow_core.users import UserView

C = TypeVar("C")
R = TypeVar("R")

UseCase: TypeAlias = Callable[[C, Actor], Coroutine[Any, Any, R]]
"""What a use case is to those who call it: a command and who gives it, in; the result, out."""

Scan: TypeAlias = Callable[[], Coroutine[Any, Any, "Reconciled | bool"]]
"""What a scheduler does again and again: what it returns is true where there was anything to do."""


class Refresh(Protocol):
    """Rotates a session's refresh token."""

    def __call__(self, token: str, request_id: str | None = None) -> Coroutine[Any, Any, SignedIn]:
        """Return the user and the session's tokens."""
        ...


class Work(Protocol):
    """Does one job that is due."""

    def __call__(
        self, hint: UUID | None = None, *, bulkhead_size: int | None = ..., tell: Callable[[Ran], None] = ...
    ) -> Coroutine[Any, Any, Ran | None]:
        """Return how it ended; None where nothing is due (see `RunJob`)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """Everything that one can do with TaskFlow."""

    register: Callable[[Registration], Coroutine[Any, Any, SignedIn]]
    log_in: Callable[[LogInAttempt], Coroutine[Any, Any, SignedIn]]
    refresh: Refresh
    authenticate: Callable[[str, str | None], Coroutine[Any, Any, Actor]]
    list_sessions: UseCase[UUID, tuple[SessionView, ...]]
    end_session: UseCase[UUID, None]
    end_sessions: UseCase[UUID, None]
    change_password: UseCase[PasswordChange, None]
    reset_password: UseCase[PasswordReset, None]
    read_events: UseCase[EventQuery, Page[SecurityEvent]]
    create_task: UseCase[NewTask, TaskView]
    change_task: UseCase[TaskChange, TaskView]
    delete_task: UseCase[TaskDeletion, None]
    restore_task: UseCase[TaskRestoration, TaskView]
    change_tasks: UseCase[Batch, tuple[BatchResult, ...]]
    find_task: UseCase[UUID, TaskView]
    list_tasks: UseCase[TaskQuery, Page[TaskView]]
    count_tasks: UseCase[UUID | None, TaskStats]
    read_history: UseCase[HistoryQuery, HistoryPage[HistoryEntry]]
    create_user: UseCase[NewUser, UserView]
    change_user: UseCase[UserChange, UserView]
    delete_user: UseCase[UserDeletion, None]
    purge_users: Callable[[Actor], Coroutine[Any, Any, int]]
    find_user: UseCase[UUID, UserView]
    list_users: UseCase[UserQuery, Page[UserView]]
    find_job: UseCase[UUID, JobView]
    list_jobs: UseCase[JobQuery, Page[JobView]]
    count_jobs: Callable[[Actor], Coroutine[Any, Any, JobStats]]
    retry_job: UseCase[UUID, JobView]
    retry_jobs: UseCase[DeadJobs, Retried]
    discard_job: UseCase[UUID, JobView]
    add_sample: UseCase[Sample, JobView]
    run_job: Work
    reconcile: Scan
    notify_overdue: Scan
    schedule_clean_up: Scan

    @classmethod
    def over(
        cls,
        *,
        transactions: Transactions,
        task_reads: TaskReads,
        user_reads: UserReads,
        session_reads: SessionReads,
        identities: Identities,
        attempts: LoginAttempts,
        passwords: PasswordHasher,
        common: CommonPasswords,
        tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        clock: Clock,
        ids: Ids,
        claims: Claims,
        ledger_reads: LedgerReads,
        queue: Queue,
        notifier: Notifier,
        chance: Chance,
        refresh_grace: timedelta = GRACE,
        handlers: Mapping[str, Handler] | None = None,
        redact: Callable[[str], str] = str,
    ) -> UseCases:
        """Return the use cases over these ports.

        `handlers` are for kinds of jobs beside TaskFlow's own; `redact` hides secrets in what is kept of
        others' errors.
        """
        clean_up = CleanUp(transactions, clock, ids)
        own: dict[str, Handler] = {
            JobKind.TASK_OVERDUE: TellOverdue(task_reads, user_reads, notifier),
            JobKind.TASK_ASSIGNED: TellAssigned(task_reads, user_reads, notifier),
            JobKind.TASK_REASSIGNED: TellReassigned(task_reads, user_reads, notifier),
            JobKind.SECURITY_EVENT: TellSecurityEvent(user_reads, notifier),
            JobKind.SAMPLE_REFUND: RefundSample(),
            **dict.fromkeys(KINDS, clean_up),
        }
        pairs = TokenPairs(tokens, refresh_tokens)
        create_user = CreateUser(transactions, passwords, common, clock, ids)
        set_password = SetPassword(transactions, passwords, common, clock, ids)
        return cls(
            register=Register(create_user, pairs),
            log_in=LogIn(user_reads, attempts, transactions, passwords, pairs, clock, ids),
            refresh=RefreshSession(transactions, user_reads, pairs, clock, ids, refresh_grace),
            authenticate=Authenticate(tokens, identities, clock),
            list_sessions=ListSessions(session_reads),
            end_session=EndSession(transactions),
            end_sessions=EndSessions(transactions, clock),
            change_password=ChangePassword(user_reads, attempts, set_password),
            reset_password=ResetPassword(user_reads, set_password),
            read_events=ReadEvents(session_reads, clock),
            create_task=CreateTask(transactions, clock, ids),
            change_task=ChangeTask(transactions, clock, ids),
            delete_task=DeleteTask(transactions, clock, ids),
            restore_task=RestoreTask(transactions, clock, ids),
            change_tasks=ChangeTasks(transactions, clock, ids),
            find_task=FindTask(task_reads),
            list_tasks=ListTasks(task_reads, clock),
            count_tasks=CountTasks(task_reads, clock),
            read_history=ReadHistory(task_reads),
            create_user=create_user,
            change_user=ChangeUser(transactions, clock, ids),
            delete_user=DeleteUser(transactions, clock, ids),
            purge_users=PurgeUsers(transactions),
            find_user=FindUser(user_reads),
            list_users=ListUsers(user_reads, clock),
            find_job=FindJob(ledger_reads),
            list_jobs=ListJobs(ledger_reads, clock),
            count_jobs=CountJobs(ledger_reads),
            retry_job=RetryJob(transactions),
            retry_jobs=RetryJobs(transactions),
            discard_job=DiscardJob(transactions),
            add_sample=AddSample(transactions, clock, ids),
            run_job=RunJob(
                claims,
                transactions,
                {**own, **(handlers or {})},
                chance,
                time_limits=dict.fromkeys(NOTICE_KINDS, NOTICE_TIME_LIMIT),
                bulkhead=Bulkhead(NOTICE_KINDS, lesser=TASK_NOTICE_KINDS),
                redact=redact,
            ),
            reconcile=Reconcile(transactions, queue, chance),
            notify_overdue=NotifyOverdue(transactions, clock, ids),
            schedule_clean_up=ScheduleCleanUp(transactions, clock, ids),
        )
