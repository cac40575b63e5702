"""What is removed for good, over the dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from taskflow_core import JobKind, JobState
from taskflow_core.idempotency import KEPT_FOR
from taskflow_core.ledger import DEAD_KEPT, TASK_NOTICE_KINDS
from taskflow_core.security_events import FORMER_EMAIL
from taskflow_core.throttle import FORGOTTEN_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from uuid import UUID

    from taskflow_core import LedgerEntry, Session, Task
    from taskflow_memory.store import MemoryStore, StoredKey

SESSIONS_KEPT: Final = timedelta(days=180)
LEDGER_KEPT: Final = timedelta(days=7)
TASKS_KEPT: Final = timedelta(days=31)


@dataclass(slots=True)
class MemoryUpkeep:
    """What one unit of work removes (port `Upkeep`): chosen at once, gone with `commit`."""

    store: MemoryStore
    tasks: list[UUID] = field(default_factory=list)
    users: list[UUID] = field(default_factory=list)
    jobs: list[UUID] = field(default_factory=list)
    others: dict[JobKind, list[Any]] = field(default_factory=dict)

    async def remove(self, what: JobKind, *, limit: int) -> int:
        """Choose what `commit` removes."""
        if what is JobKind.CLEAN_USERS:
            return self._choose_users(limit)
        if what not in _OUTDATED:
            raise ValueError(f"{what} cleans nothing up")
        now, is_outdated = self.store.clock(), _OUTDATED[what]
        chosen = self.others.setdefault(what, [])
        kept = _place(self.store, what).items()
        outdated = (key for key, row in kept if is_outdated(row, now) and key not in chosen)
        step = list(islice(outdated, limit))
        chosen += step
        return len(step)

    def _choose_users(self, limit: int) -> int:
        marked = {user.id for user in self.store.users.values() if user.deleted_at is not None}
        owned = {task.id: task.user_id for task in self.store.tasks.values() if task.user_id in marked}
        tasks = [id for id in owned if id not in self.tasks][:limit]
        self.tasks += tasks
        addressed = {
            job.id: job.subject
            for job in self.store.ledger.values()
            if job.subject in marked and FORMER_EMAIL in job.payload
        }
        jobs = [id for id in addressed if id not in self.jobs][: limit - len(tasks)]
        self.jobs += jobs
        kept = {owner for id, owner in owned.items() if id not in self.tasks}
        kept |= {user for id, user in addressed.items() if id not in self.jobs}
        emptied = [id for id in marked if id not in kept and id not in self.users]
        users = emptied[: limit - len(tasks) - len(jobs)]
        self.users += users
        return len(tasks) + len(jobs) + len(users)

    def write(self) -> None:
        """Remove what was chosen."""
        self.store.remove_tasks(self.others.pop(JobKind.CLEAN_TASKS, ()))
        self.store.remove_jobs([*self.others.pop(JobKind.CLEAN_LEDGER, ()), *self.jobs])
        self.store.remove([id for id in self.tasks if id in self.store.tasks], self.users)
        for what, keys in self.others.items():
            for key in keys:
                _place(self.store, what).pop(key, None)


def _place(store: MemoryStore, what: JobKind) -> dict[Any, Any]:
    places: dict[JobKind, dict[Any, Any]] = {
        JobKind.CLEAN_SESSIONS: store.sessions,
        JobKind.CLEAN_KEYS: store.keys,
        JobKind.CLEAN_LEDGER: store.ledger,
        JobKind.CLEAN_TASKS: store.tasks,
        JobKind.CLEAN_ATTEMPTS: store.attempts,
    }
    return places[what]


def _is_old_session(session: Session, now: datetime) -> bool:
    return not session.is_live(now) and now - session.created_at > SESSIONS_KEPT


def _is_old_key(key: StoredKey, now: datetime) -> bool:
    return now - key.at > KEPT_FOR


def _is_old_job(entry: LedgerEntry, now: datetime) -> bool:
    if entry.finished_at is None:
        return False
    if entry.state is JobState.DONE:
        return now - entry.finished_at > LEDGER_KEPT
    return entry.kind in TASK_NOTICE_KINDS and now - entry.finished_at > DEAD_KEPT


def _is_old_task(task: Task, now: datetime) -> bool:
    return task.deleted_at is not None and now - task.deleted_at > TASKS_KEPT


def _is_old_attempt(attempt: tuple[int, datetime], now: datetime) -> bool:
    return now - attempt[1] > FORGOTTEN_AFTER


_OUTDATED: Final[Mapping[JobKind, Callable[[Any, datetime], bool]]] = {
    JobKind.CLEAN_SESSIONS: _is_old_session,
    JobKind.CLEAN_KEYS: _is_old_key,
    JobKind.CLEAN_LEDGER: _is_old_job,
    JobKind.CLEAN_TASKS: _is_old_task,
    JobKind.CLEAN_ATTEMPTS: _is_old_attempt,
}
