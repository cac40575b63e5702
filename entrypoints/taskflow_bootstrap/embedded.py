"""TaskFlow inside another program: no server, no settings file, no global state.

Inside a transaction that the host opened, which commits or rolls back both together::

    async with open_queue(settings) as queue:                   # once, for as long as the host runs
        ...
        async with engine.begin() as connection:
            await connection.execute(...)                       # the host's own write
            taskflow = embed(connection, settings, queue)
            await taskflow.create_task(NewTask(title="Call back"), Actor.of(user_id, Role.USER))
        await taskflow.after_commit()                           # wakes a worker

On connections of its own::

    async with open_taskflow(settings) as taskflow:
        await taskflow.use_cases.create_task(...)

Jobs are done by `taskflow worker`, and `taskflow scheduler` sees to it. Kinds of the host's own are done by
workers that have handlers for them: `taskflow_bootstrap.work.work(settings, handlers=...)`, or, one job at a
time, `run_job` of `open_taskflow(settings, handlers)`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from taskflow_bootstrap.composition import (
    JoinedUseCases,
    Tools,
    make_engine,
    make_passwords,
    make_quota,
    one_transaction,
    use_cases_on,
    use_cases_over,
)
from taskflow_bootstrap.notifying import make_notifier
from taskflow_bootstrap.queues import LateQueue
from taskflow_bootstrap.retried import retried
from taskflow_bootstrap.settings import Settings
from taskflow_core import Handler, NotFound, Origin, Task, UseCases, UserView
from taskflow_core.ports.persistence import Transactions, UserReads
from taskflow_core.ports.queue import Queue
from taskflow_core.users import check_email
from taskflow_sqlalchemy import SqlAlchemyReads, SqlAlchemyTransactions

__all__ = ["JoinedUseCases", "Settings", "TaskFlow", "embed", "open_queue", "open_taskflow"]


@dataclass(frozen=True, slots=True)
class TaskFlow:
    """A TaskFlow on connections of its own.

    Attributes:
        use_cases: All that one can do with it.
        user_reads: The read side of users, for what the operator of an installation needs beyond that.
        transactions: Units of work, likewise.
        together: Enters one transaction and gives the use cases inside it: many small commands cost one
            commit, and are kept or lost together.
    """

    use_cases: UseCases
    user_reads: UserReads
    transactions: Transactions
    together: Callable[[], AbstractAsyncContextManager[UseCases]]

    async def user_by_email(self, email: str) -> UserView:
        """Return the live account of this email, in whatever letter case.

        Raises:
            NotFound: There is none.
        """
        try:
            found = await self.user_reads.credentials(check_email(email), Origin())
        except ValueError:
            found = None
        if found is None:
            raise NotFound(f"There is no account of {email}.")
        return found.user

    async def task(self, task_id: UUID) -> Task:
        """Return a task, whosever it is and a deleted one too.

        Raises:
            NotFound: There is none.
        """
        async with self.transactions() as transaction:
            found = (await transaction.tasks.load([task_id])).get(task_id)
        if found is None:
            raise NotFound("There is no such task.")
        return found


def embed(
    connection: AsyncConnection, settings: Settings | None = None, queue: Queue | None = None
) -> JoinedUseCases:
    """Return the use cases inside the transaction that is open on `connection` (`postgresql+psycopg`).

    Each use case is a savepoint: one that fails takes back its own part only. What the host then
    commits or rolls back holds for both.

    Args:
        connection: Of the host, with a transaction begun.
        settings: For passwords and tokens; without a `jwt_secret`, registering and signing in are refused.
        queue: What `after_commit` wakes workers by; without one the scheduler does, seconds later.

    A log-in that is refused counts as a failed one only where the host commits all the same: who lets
    strangers sign in does it on connections of TaskFlow's own.

    Raises:
        TypeError: It is not an `AsyncConnection`, such as a synchronous connection or a session.
    """
    if not isinstance(connection, AsyncConnection):
        raise TypeError(_not_joinable(connection))
    return use_cases_on(connection, _shared(settings or Settings()), queue or LateQueue(""))


def _not_joinable(given: object) -> str:
    kind = f"{type(given).__module__}.{type(given).__qualname__}"
    advice = "A synchronous host calls `open_taskflow` in an event loop; it has connections of its own."
    if hasattr(given, "connection"):
        advice = "Of an AsyncSession give `await session.connection()`."
    return (
        "embed() joins the transaction of a sqlalchemy.ext.asyncio.AsyncConnection (postgresql+psycopg), "
        f"not of a {kind}. {advice}"
    )


# What all calls of `embed` share: the threads that hash passwords, the clock, the ids.
_shared = lru_cache(maxsize=8)(Tools.of)


@asynccontextmanager
async def open_queue(settings: Settings) -> AsyncIterator[Queue]:
    """Open the queue for `embed`, for this event loop; in the end what is on its way is sent."""
    queue = LateQueue(settings.redis_url)
    try:
        yield queue
    finally:
        await queue.aclose()


@asynccontextmanager
async def open_taskflow(
    settings: Settings,
    handlers: Mapping[str, Handler] | None = None,
    *,
    on_open: Callable[[], None] | None = None,
) -> AsyncIterator[TaskFlow]:
    """Open connections when first needed, and close them in the end.

    Args:
        settings: With the database's address; without Redis' nobody is woken when there is a job.
        handlers: For kinds of jobs beside TaskFlow's own, where jobs are done here.
        on_open: Called before the queue is opened, with which its logging is imported.

    Raises:
        SettingsError: There is no database address.
    """
    async with AsyncExitStack() as clients:
        # By hand, since importing the container takes as long as a short command may.
        engine = make_engine(settings)
        clients.push_async_callback(engine.dispose)
        queue = LateQueue(settings.redis_url, on_open)
        clients.push_async_callback(queue.aclose)
        notifier = make_notifier(settings)
        clients.push_async_callback(notifier.aclose)
        passwords = make_passwords(settings)
        clients.callback(passwords.close)
        tools = Tools.of(settings, passwords)
        use_cases = retried(use_cases_over(engine, tools, queue, notifier, handlers or {}))
        reads = SqlAlchemyReads(engine)
        transactions = SqlAlchemyTransactions(engine, queue, make_quota(settings))
        yield TaskFlow(use_cases, reads, transactions, partial(one_transaction, engine, tools, queue))
