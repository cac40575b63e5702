"""What the persistence suites ask of an adapter, and the short ways in which they put it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from support.samples import NOW, entry_of, new_job, new_session, new_task, new_user
from taskflow_core import (
    EventQuery,
    HistoryEntry,
    HistoryQuery,
    Identity,
    JobKind,
    JobState,
    LedgerEntry,
    Page,
    Role,
    SecurityEvent,
    Session,
    Task,
    TaskQuery,
    TaskView,
    User,
)
from taskflow_core.ledger import LEASE
from taskflow_core.ports.ledger import Claims, LedgerReads
from taskflow_core.ports.persistence import (
    Identities,
    LoginAttempts,
    SessionReads,
    TaskReads,
    Transactions,
    UserReads,
)
from taskflow_core.ports.security import TokenClaims
from taskflow_memory import MemoryQueue


@dataclass(frozen=True, slots=True)
class Persistence:
    """One adapter of the ports in `taskflow_core.ports.persistence`."""

    transactions: Transactions
    task_reads: TaskReads
    user_reads: UserReads
    session_reads: SessionReads
    identities: Identities
    attempts: LoginAttempts
    claims: Claims
    ledger_reads: LedgerReads
    queue: MemoryQueue
    """Is hinted by `transactions`."""
    data_version: Callable[[UUID], Awaitable[int]]
    age: Callable[[timedelta], Awaitable[None]]
    """Lets the store's clock go on by so much, as seen by tries to log in, background work, scans, keys and
    due dates; back by what is negative."""

    async def add_users(self, *users: User) -> None:
        async with self.transactions() as unit:
            for user in users:
                unit.users.add(user)
            await unit.commit()

    async def new_user(self, role: Role = Role.USER, **given: object) -> User:
        user = new_user(role=role, **given)
        await self.add_users(user)
        return user

    async def add_tasks(self, *tasks: Task) -> None:
        async with self.transactions() as unit:
            for task in tasks:
                unit.tasks.add(task, entry_of(task))
            await unit.commit()

    async def new_task(self, owner: UUID, **given: object) -> Task:
        task = new_task(owner, **given)
        await self.add_tasks(task)
        return task

    async def task(self, task_id: UUID) -> Task | None:
        """The stored task, a deleted one too."""
        async with self.transactions() as unit:
            return (await unit.tasks.load([task_id])).get(task_id)

    async def user(self, user_id: UUID) -> User | None:
        async with self.transactions() as unit:
            return await unit.users.load(user_id)

    async def open_session(self, user_id: UUID, *, password_version: int = 1, **given: object) -> Session:
        """A session that is live by the store's clock, which no test can move."""
        now = datetime.now(UTC)
        session = new_session(user_id, **{"created_at": now, "last_used_at": now} | given)
        async with self.transactions() as unit:
            unit.sessions.open(session, password_version=password_version)
            await unit.commit()
        return session

    async def session(self, session_id: UUID) -> Session | None:
        async with self.transactions() as unit:
            found = await unit.sessions.load(session_id)
            return found[0] if found else None

    async def identity(self, session: Session) -> Identity | None:
        return await self.identities(TokenClaims(session.user_id, session.id))

    async def add_events(self, *events: SecurityEvent) -> None:
        async with self.transactions() as unit:
            for event in events:
                unit.events.add(event)
            await unit.commit()

    async def events(self, owner: UUID | None = None) -> list[SecurityEvent]:
        page = await self.session_reads.events(EventQuery(owner=owner, limit=100), NOW)
        return list(page.items)

    async def mark_deleted(self, user_id: UUID) -> None:
        async with self.transactions() as unit:
            user = await unit.users.load(user_id)
            assert user is not None
            user.mark_deleted(NOW)
            unit.users.save(user)
            await unit.commit()

    async def purge(self, limit: int = 1_000) -> int:
        return await self.remove(JobKind.CLEAN_USERS, limit)

    async def purge_all(self) -> int:
        removed = 0
        while step := await self.purge():
            removed += step
        return removed

    async def add_jobs(self, *jobs: LedgerEntry) -> None:
        async with self.transactions() as unit:
            for job in jobs:
                unit.ledger.add(job)
            await unit.commit()

    async def new_job(self, kind: str = "kind", **given: object) -> LedgerEntry:
        job = new_job(kind, **given)
        await self.add_jobs(job)
        return job

    async def job(self, job_id: UUID) -> LedgerEntry | None:
        async with self.transactions() as unit:
            found = await unit.ledger.load(job_id)
            return found[0] if found else None

    async def claim(
        self, hint: UUID | None = None, *kinds: str, lease: timedelta = LEASE
    ) -> LedgerEntry | None:
        return await self.claims(hint, kinds=kinds or ("kind",), lease=lease)

    async def running_job(
        self, kind: str = "kind", *, lease: timedelta = LEASE, **given: object
    ) -> LedgerEntry:
        """Work that was just claimed."""
        job = await self.new_job(kind, **given)
        claimed = await self.claim(job.id, kind, lease=lease)
        assert claimed is not None
        assert claimed.id == job.id
        return claimed

    async def finish(self, job: LedgerEntry) -> None:
        async with self.transactions() as unit:
            unit.ledger.finish(job)
            await unit.commit()

    async def kill(self, job_id: UUID, error: str = "It broke.") -> LedgerEntry:
        """Let a job die; return it as it is then."""
        async with self.transactions() as unit:
            found = await unit.ledger.load(job_id)
            assert found is not None
            found[0].fail(error, found[1], 0, final=True)
            unit.ledger.save(found[0])
            await unit.commit()
        return found[0]

    async def states(self, *jobs: LedgerEntry) -> list[JobState]:
        stored = [await self.job(job.id) for job in jobs]
        return [job.state for job in stored if job]

    def hints(self) -> list[UUID]:
        """What was hinted at since this was asked last."""
        found = list(self.queue.hints)
        self.queue.hints.clear()
        return found

    async def remove(self, what: JobKind, limit: int = 1_000) -> int:
        async with self.transactions() as unit:
            removed = await unit.upkeep.remove(what, limit=limit)
            await unit.commit()
        return removed

    async def history(self, task_id: UUID) -> list[HistoryEntry]:
        page = await self.task_reads.history(HistoryQuery(task_id=task_id, limit=100), owner=None)
        assert page is not None
        return list(page.items)

    async def pages(self, query: TaskQuery, now: datetime = NOW) -> AsyncIterator[Page[TaskView]]:
        """Every page from `query` on."""
        while True:
            page = await self.task_reads.tasks(query, now)
            yield page
            if page.next is None:
                return
            query = replace(query, after=page.next)
