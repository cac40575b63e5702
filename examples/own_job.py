"""A job of a host's own: kept with the order that causes it, done by a worker in this process, once.

Run it on a database of yours (it makes TaskFlow's tables and one called `parcels`), with Redis or without:
    python examples/own_job.py postgresql://user:password@host/database [redis://host/0]

Without Redis everything happens too: then a worker finds a job not at once, but when it next looks. To do
such jobs in processes of their own: `taskflow_bootstrap.work.work(settings, processes=2, handlers=...)`.
"""

import asyncio
import sys
from functools import partial
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from taskflow_bootstrap.embedded import Settings, embed, open_queue, open_taskflow
from taskflow_core import Actor, Effect, JobState, LedgerEntry, NewUser, Task, TaskQuery
from taskflow_core.ports.persistence import Transaction
from taskflow_sqlalchemy import driver_url, migrate
from taskflow_system import SystemClock, Uuid7

SHIP = "parcel.ship"
clock, ids = SystemClock(), Uuid7()


async def ship(job: LedgerEntry) -> Effect | None:
    """Hand the parcel over, and return what is to be kept of it.

    What is done here may be done again after a crash, so it is done under the job's id, by which the carrier
    knows it again. What is returned is committed in one transaction with the end of the job, and so once.
    """
    if job.tries == 1:
        raise ConnectionError("The carrier did not answer.")  # it is tried again a moment later
    print("shipped on try", job.tries, "under", job.id)
    return partial(remember, UUID(job.payload["packer"]), job.payload["item"])


async def remember(packer: UUID, item: str, transaction: Transaction) -> None:
    """Make a task of what is left to do."""
    now, actor = clock(), Actor.operator()
    task, entry = Task.create(
        id=ids(now),
        entry_id=ids(now),
        user_id=packer,
        title=f"Tell the customer of {item}",
        actor=actor,
        now=now,
    )
    transaction.tasks.add(task, entry)


async def main(url: str, redis_url: str = "") -> None:
    """Take an order, and do what it causes."""
    await migrate(url)
    settings, engine = Settings(database_url=url, redis_url=redis_url), create_async_engine(driver_url(url))
    async with open_queue(settings) as queue:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE IF NOT EXISTS parcels (item text)"))
            taskflow = embed(connection, settings, queue)
            email, password = f"{ids(clock())}@example.com", f"{ids(clock())}"
            packer = await taskflow.create_user(
                NewUser(email=email, name="Packer", password=password), Actor.operator()
            )

            await connection.execute(text("INSERT INTO parcels VALUES ('a telescope')"))
            now = clock()
            facts = {"packer": str(packer.id), "item": "a telescope"}
            job = LedgerEntry.create(id=ids(now), kind=SHIP, now=now, payload=facts, max_tries=5)
            async with taskflow.transactions() as unit:
                unit.ledger.add(job)
                await unit.commit()
        await taskflow.after_commit()
    await engine.dispose()

    async with open_taskflow(settings, {SHIP: ship}) as running:
        do, me = running.use_cases, Actor.operator()
        while (await do.find_job(job.id, me)).state is not JobState.DONE:
            if await do.run_job() is None:
                await asyncio.sleep(0.1)
        tasks = await do.list_tasks(TaskQuery(owner=packer.id), me)
    print("tasks:", [task.title for task in tasks.items])
    assert [task.title for task in tasks.items] == ["Tell the customer of a telescope"]


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
