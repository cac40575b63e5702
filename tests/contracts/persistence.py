"""What the persistence suites ask of an adapter, and the short ways in which they put it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from support.samples import NOW, entry_of, new_session, new_task, new_user
from taskflow_core import (
    EventQuery,
    HistoryEntry,
    HistoryQuery,
    Identity,
    JobKind,
    Page,
    Role,
    SecurityEvent,
    Session,
    Task,
    TaskQuery,
    TaskView,
    User,
)
from taskflow_core.ports.persistence import (
    Identities,
    LoginAttempts,
    SessionReads,
    TaskReads,
    Transactions,
    UserReads,
)
from taskflow_core.ports.security import TokenClaims


@dataclass(frozen=True, slots=True)
class Persistence:
    """One adapter of the ports in `taskflow_core.ports.persistence`."""

    transactions: Transactions
    task_reads: TaskReads
    user_reads: UserReads
    session_reads: SessionReads
    identities: Identities
    attempts: LoginAttempts
    data_version: Callable[[UUID], Awaitable[int]]
    age_attempts: Callable[[timedelta], Awaitable[None]]
    """Makes all tries to log in that were counted so much older."""

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
        async with self.transactions() as unit:
            removed = await unit.upkeep.remove(JobKind.CLEAN_USERS, limit=limit)
            await unit.commit()
        return removed

    async def purge_all(self) -> int:
        removed = 0
        while step := await self.purge():
            removed += step
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
