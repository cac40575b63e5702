"""Only who holds the last claim ends what it claimed, and its effect with it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.persistence import Persistence
from contracts.test_ledger import is_about
from contracts.test_round_trips import NASTY
from support.samples import entry_of, new_job, new_task
from taskflow_core import JobState, LeaseLost, LedgerEntry
from taskflow_core.ledger import LEASE

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
SOON = timedelta(seconds=15)


async def assert_lost(persistence: Persistence, job: LedgerEntry) -> None:
    with pytest.raises(LeaseLost):
        await persistence.finish(job)


class TestFinish:
    async def test_it_is_done_with_its_effect(self, persistence: Persistence) -> None:
        job = await persistence.running_job()
        async with persistence.transactions() as unit:
            unit.ledger.finish(job)
            unit.samples.refund(job.id)
            await unit.commit()
        stored = await persistence.job(job.id)
        assert stored is not None
        assert (stored.state, stored.lease_until, stored.tries, stored.fence) == (JobState.DONE, None, 1, 1)
        assert is_about(stored.finished_at, datetime.now(UTC))
        assert await persistence.ledger_reads.refunds(job.id) == 1

    async def test_what_failed_before_is_forgotten(self, persistence: Persistence) -> None:
        job = await persistence.running_job()
        async with persistence.transactions() as unit:
            found = await unit.ledger.load(job.id)
            assert found is not None
            found[0].error = "The try before."
            unit.ledger.save(found[0])
            await unit.commit()
        await persistence.finish(job)
        stored = await persistence.job(job.id)
        assert stored is not None
        assert stored.error is None

    async def test_who_lost_the_claim_keeps_nothing(self, persistence: Persistence) -> None:
        owner = await persistence.new_user()
        job = await persistence.running_job()
        stale, task, follower = replace(job, fence=0), new_task(owner.id), new_job()
        persistence.hints()

        async def finish() -> None:
            async with persistence.transactions() as unit:
                unit.ledger.finish(stale)
                unit.samples.refund(job.id)
                unit.tasks.add(task, entry_of(task))
                unit.ledger.add(follower)
                await unit.commit()

        with pytest.raises(LeaseLost):
            await finish()
        assert await persistence.states(job) == [JobState.RUNNING]
        assert await persistence.ledger_reads.refunds(job.id) == 0
        assert await persistence.task(task.id) is None
        assert await persistence.job(follower.id) is None
        assert persistence.hints() == []
        await persistence.finish(job)

    async def test_nor_does_who_finishes_twice_or_what_is_gone(self, persistence: Persistence) -> None:
        job, gone = await persistence.running_job(), new_job(fence=1)
        await persistence.finish(job)
        await assert_lost(persistence, job)
        await assert_lost(persistence, gone)
        assert await persistence.states(job) == [JobState.DONE]

    async def test_a_lease_that_is_out_is_lost_before_anybody_took_over(
        self, persistence: Persistence
    ) -> None:
        job = await persistence.running_job()
        await persistence.age(LEASE - SOON)
        assert await persistence.states(job) == [JobState.RUNNING]
        await persistence.age(2 * SOON)
        await assert_lost(persistence, job)
        assert await persistence.states(job) == [JobState.RUNNING]

    async def test_so_is_one_that_somebody_took_over(self, persistence: Persistence) -> None:
        job = await persistence.running_job()
        async with persistence.transactions() as unit:
            found = await unit.ledger.load(job.id)
            assert found is not None
            found[0].give_back(found[1])
            unit.ledger.save(found[0])
            await unit.commit()
        await assert_lost(persistence, job)
        second = await persistence.claim(job.id)
        assert second is not None
        assert (second.tries, second.fence) == (1, 2)
        await assert_lost(persistence, job)
        await persistence.finish(second)

    async def test_it_lasts_longer_where_it_is_renewed(self, persistence: Persistence) -> None:
        job = await persistence.running_job()
        async with persistence.transactions() as unit:
            unit.ledger.renew(job, HOUR)
            await unit.commit()
        stored = await persistence.job(job.id)
        assert stored is not None
        assert is_about(stored.lease_until, datetime.now(UTC) + HOUR)
        assert stored == replace(job, lease_until=stored.lease_until)
        await persistence.age(HOUR / 2)
        await persistence.finish(job)

    async def test_what_was_lost_is_not_renewed(self, persistence: Persistence) -> None:
        job, refunded = await persistence.running_job(), await persistence.new_job()

        async def renew(claim: LedgerEntry) -> None:
            async with persistence.transactions() as unit:
                unit.ledger.renew(claim, HOUR)
                unit.samples.refund(refunded.id)
                await unit.commit()

        with pytest.raises(LeaseLost):
            await renew(replace(job, fence=2))
        await persistence.age(LEASE + SECOND)
        with pytest.raises(LeaseLost):
            await renew(job)
        assert await persistence.ledger_reads.refunds(refunded.id) == 0


class TestFailing:
    async def test_a_failure_is_kept_with_when_it_is_tried_again(self, persistence: Persistence) -> None:
        job = await persistence.running_job()
        async with persistence.transactions() as unit:
            found = await unit.ledger.load(job.id)
            assert found is not None
            held, now = found
            held.require_held(job.fence)
            held.fail(NASTY, now, 0.5)
            unit.ledger.save(held)
            await unit.commit()
        stored = await persistence.job(job.id)
        assert stored == held
        assert stored is not None
        assert (stored.state, stored.error, stored.run_at) == (JobState.PENDING, NASTY, now + SECOND / 2)
        assert stored.finished_at is None

    async def test_what_was_given_back_is_due_and_its_fence_stays(self, persistence: Persistence) -> None:
        job = await persistence.running_job()
        persistence.hints()
        async with persistence.transactions() as unit:
            found = await unit.ledger.load(job.id)
            assert found is not None
            found[0].give_back(found[1])
            unit.ledger.save(found[0])
            await unit.commit()
        assert persistence.hints() == [job.id]
        stored = await persistence.job(job.id)
        assert stored is not None
        assert (stored.state, stored.tries, stored.fence) == (JobState.PENDING, 0, 1)
        assert (await persistence.claim()) is not None
