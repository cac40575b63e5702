"""Hints follow commits, and only commits."""

from datetime import timedelta

from contracts.persistence import Persistence
from support.samples import NOW, new_id, new_job
from taskflow_memory import MemoryQueue

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class TestHints:
    async def test_new_work_that_is_due_is_hinted_at_after_the_commit(self, persistence: Persistence) -> None:
        due, later, also = new_job(), new_job(run_at=NOW + SECOND), new_job(run_at=NOW - HOUR)
        async with persistence.transactions() as unit:
            for job in (due, later, also):
                unit.ledger.add(job)
            assert persistence.hints() == []
            await unit.commit()
            assert persistence.hints() == [due.id, also.id]
        assert persistence.hints() == []

    async def test_so_is_what_is_saved_and_due(self, persistence: Persistence) -> None:
        due, later = await persistence.running_job(), await persistence.running_job()
        persistence.hints()
        async with persistence.transactions() as unit:
            # After its tenth try a job waits for minutes.
            for job, tries, chance in ((due, 1, 0), (later, 10, 0.9)):
                found = await unit.ledger.load(job.id)
                assert found is not None
                found[0].tries = tries
                found[0].fail("It broke.", found[1], chance)
                unit.ledger.save(found[0])
            await unit.commit()
        assert persistence.hints() == [due.id]

    async def test_so_is_what_is_asked_for(self, persistence: Persistence) -> None:
        ids = [new_id(), new_id()]
        async with persistence.transactions() as unit:
            unit.ledger.hint(ids[:1])
            unit.ledger.hint(ids[1:])
            unit.ledger.hint([])
            assert persistence.hints() == []
            await unit.commit()
        assert persistence.hints() == ids

    async def test_what_needs_nobody_is_not(self, persistence: Persistence) -> None:
        job = await persistence.running_job()
        persistence.hints()
        await persistence.finish(job)
        other = await persistence.running_job()
        persistence.hints()
        await persistence.kill(other.id)
        assert persistence.hints() == []

    async def test_in_a_hosts_transaction_they_wait_for_its_commit(self, database_url: str) -> None:
        from sqlalchemy import text

        from taskflow_sqlalchemy import SqlAlchemyTransactions, open_engine

        engine, queue = open_engine(database_url), MemoryQueue()
        try:
            async with engine.connect() as connection:
                await connection.execution_options(isolation_level="READ COMMITTED")
                kept, dropped = new_job(), new_job()
                async with connection.begin():
                    transactions = SqlAlchemyTransactions.joined(connection, queue)
                    async with transactions() as unit:
                        unit.ledger.add(kept)
                        await unit.commit()
                    async with transactions() as unit:
                        unit.ledger.add(dropped)
                    assert await queue.waiting() == 0
                await transactions.after_commit()
                assert list(queue.hints) == [kept.id]
                await transactions.after_commit()
                assert await queue.waiting() == 1
                rows = await connection.execute(text("SELECT id FROM ledger"))
                assert [row.id for row in rows] == [kept.id]
        finally:
            await engine.dispose()
