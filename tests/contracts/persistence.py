"""What the persistence suites ask of an adapter, and the short ways in which they put it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from support.samples import NOW, entry_of, new_task, new_user
from taskflow_core import HistoryEntry, HistoryQuery, Page, Role, Task, TaskQuery, TaskView, User
from taskflow_core.ports.persistence import TaskReads, Transactions, UserReads


@dataclass(frozen=True, slots=True)
class Persistence:
    """One adapter of the ports in `taskflow_core.ports.persistence`."""

    transactions: Transactions
    task_reads: TaskReads
    user_reads: UserReads
    data_version: Callable[[UUID], Awaitable[int]]

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

    async def mark_deleted(self, user_id: UUID) -> None:
        async with self.transactions() as unit:
            user = await unit.users.load(user_id)
            assert user is not None
            user.mark_deleted(NOW)
            unit.users.save(user)
            await unit.commit()

    async def purge(self, limit: int = 1_000) -> int:
        async with self.transactions() as unit:
            removed = await unit.users.purge(limit=limit)
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
