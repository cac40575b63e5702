"""Jobs of use cases inside a transaction of a host's: kept with it, and hinted at once that is committed."""

import asyncio
import sys
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from support.samples import OPERATOR
from taskflow_bootstrap.composition import Tools, one_transaction
from taskflow_bootstrap.embedded import Settings, embed, open_queue, open_taskflow
from taskflow_core import Actor, Forbidden, JobState, LedgerEntry, NewTask, NewUser, Role, Sample, Unavailable
from taskflow_memory import MemoryQueue
from taskflow_sqlalchemy import SqlAlchemyLedgerReads, driver_url
from taskflow_system import SystemClock, Uuid7

SETTINGS = Settings(password_cost=10)


@pytest.fixture
async def host(database_url: str) -> AsyncIterator[AsyncEngine]:
    host = create_async_engine(driver_url(database_url))
    yield host
    await host.dispose()


@pytest.fixture
async def owner(host: AsyncEngine) -> UUID:
    async with host.begin() as connection:
        new = NewUser(email="ada@example.com", name="Ada", password="a long password")
        return (await embed(connection, SETTINGS).create_user(new, OPERATOR)).id


async def test_workers_are_woken_after_the_hosts_commit_and_not_before(
    host: AsyncEngine, engine: AsyncEngine, owner: UUID
) -> None:
    queue = MemoryQueue()
    async with host.begin() as connection:
        taskflow = embed(connection, SETTINGS, queue)
        await taskflow.create_task(NewTask(title="For Ada", user_id=owner), OPERATOR)
        sample = await taskflow.add_sample(Sample(), OPERATOR)
        with pytest.raises(Forbidden):
            await taskflow.add_sample(Sample(), Actor.of(owner, Role.USER))
        assert await SqlAlchemyLedgerReads(engine).job(sample.id) is None
        assert not queue.hints
    await taskflow.after_commit()
    assert len(queue.hints) == 2
    assert sample.id in queue.hints
    found = await SqlAlchemyLedgerReads(engine).job(sample.id)
    assert found is not None
    assert found.state is JobState.PENDING


async def test_one_transaction_wakes_workers_by_itself_where_it_is_kept(engine: AsyncEngine) -> None:
    queue, tools = MemoryQueue(), Tools.of(SETTINGS)
    async with one_transaction(engine, tools, queue) as do:
        sample = await do.add_sample(Sample(), OPERATOR)
        assert not queue.hints
    assert list(queue.hints) == [sample.id]
    with pytest.raises(KeyError):
        await _fails(engine, tools, queue)
    assert list(queue.hints) == [sample.id]


async def _fails(engine: AsyncEngine, tools: Tools, queue: MemoryQueue) -> None:
    async with one_transaction(engine, tools, queue) as do:
        await do.add_sample(Sample(), OPERATOR)
        raise KeyError


async def test_without_a_queue_the_job_is_kept_all_the_same(host: AsyncEngine, engine: AsyncEngine) -> None:
    async with host.begin() as connection:
        taskflow = embed(connection)
        sample = await taskflow.add_sample(Sample(), OPERATOR)
    await taskflow.after_commit()
    assert await SqlAlchemyLedgerReads(engine).job(sample.id) is not None


async def test_jobs_are_not_done_in_a_transaction_of_others(host: AsyncEngine) -> None:
    async with host.begin() as connection:
        with pytest.raises(RuntimeError, match="not in a host's"):
            await embed(connection).run_job()


@pytest.mark.parametrize("address", ["", "redis://127.0.0.1:1/0"])
async def test_a_queue_without_redis_harms_nobody(address: str) -> None:
    async with open_queue(Settings(redis_url=address)) as queue:
        queue.hint([Uuid7()(SystemClock()())])
        with pytest.raises(Unavailable):
            await queue.waiting()


def own_job() -> LedgerEntry:
    now = SystemClock()()
    return LedgerEntry.create(id=Uuid7()(now), kind="host.own", now=now, payload={"item": "a telescope"})


async def test_a_kind_of_the_hosts_own_waits_for_who_can_do_it(host: AsyncEngine, database_url: str) -> None:
    done = []
    job = own_job()
    async with host.begin() as connection, embed(connection).transactions() as unit:
        unit.ledger.add(job)
        await unit.commit()

    async def do_own(job: LedgerEntry) -> None:
        done.append(job.payload["item"])

    settings = Settings(database_url=database_url)
    async with open_taskflow(settings) as without:
        assert await without.use_cases.run_job(job.id) is None
    async with open_taskflow(settings, {"host.own": do_own}) as able:
        assert await able.use_cases.run_job(job.id) is not None
        assert (await able.use_cases.find_job(job.id, OPERATOR)).state is JobState.DONE
    assert done == ["a telescope"]


OWN_WORKER = """
import sys
from taskflow_bootstrap.embedded import Settings
from taskflow_bootstrap.work import work

async def do_own(job):
    print("did", job.payload["item"], flush=True)

settings = Settings(database_url=sys.argv[1], redis_url=sys.argv[2])
sys.exit(work(settings, processes=1, handlers={"host.own": do_own}, on_ready=lambda: None, tell=print))
"""


async def test_workers_in_processes_of_their_own_do_it_too(
    host: AsyncEngine, database_url: str, redis_url: str
) -> None:
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWN_WORKER, database_url, redis_url, stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    settings = Settings(redis_url=redis_url)
    try:
        async with open_queue(settings) as queue:
            async with host.begin() as connection:
                taskflow = embed(connection, settings, queue)
                async with taskflow.transactions() as unit:
                    unit.ledger.add(own_job())
                    await unit.commit()
            await taskflow.after_commit()
        # Before that it may tell that PostgreSQL or Redis made it wait.
        await asyncio.wait_for(worker.stdout.readuntil(b"did a telescope\n"), 60)
    finally:
        worker.terminate()
        code = await worker.wait()
    assert code == 0
