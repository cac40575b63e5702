"""Who gets which work: what is hinted at, else what is due longest, and nothing twice."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

from contracts.persistence import Persistence
from support.samples import NOW, new_id, new_job
from taskflow_core import JobState, LedgerEntry
from taskflow_core.ledger import LEASE

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


async def claim_all(persistence: Persistence) -> list[LedgerEntry]:
    claimed = []
    while job := await persistence.claim():
        claimed.append(job)
    return claimed


class TestWhich:
    async def test_the_longest_due_goes_first(self, persistence: Persistence) -> None:
        jobs = [await persistence.new_job(run_at=NOW - n * HOUR) for n in range(4)]
        await persistence.new_job(run_at=NOW + HOUR)
        claimed = await claim_all(persistence)
        assert [job.id for job in claimed] == [job.id for job in reversed(jobs)]

    async def test_what_is_hinted_at_goes_before_it(self, persistence: Persistence) -> None:
        oldest = await persistence.new_job(run_at=NOW - HOUR)
        hinted = await persistence.new_job()
        for expected in (hinted, oldest):
            job = await persistence.claim(hinted.id)  # the second time it runs already
            assert job is not None
            assert job.id == expected.id
        assert await persistence.claim(hinted.id) is None

    async def test_a_hint_at_what_is_not_due_leads_to_what_is(self, persistence: Persistence) -> None:
        later = await persistence.new_job(run_at=NOW + HOUR)
        done, dead = await persistence.running_job(), await persistence.running_job()
        await persistence.finish(done)
        await persistence.kill(dead.id)
        for hint in (later.id, done.id, dead.id, new_id(), None):
            due = await persistence.new_job()
            job = await persistence.claim(hint)
            assert job is not None
            assert job.id == due.id
        for hint in (later.id, done.id, dead.id, new_id(), None):
            assert await persistence.claim(hint) is None

    async def test_only_what_one_can_do(self, persistence: Persistence) -> None:
        first, second = await persistence.new_job("first"), await persistence.new_job("second")
        assert await persistence.claim(None, "third") is None
        assert await persistence.claims(first.id, kinds=(), lease=LEASE) is None
        job = await persistence.claim(first.id, "second", "third")
        assert job is not None
        assert job.id == second.id
        assert await persistence.claim(first.id, "second", "third") is None

    async def test_work_becomes_due(self, persistence: Persistence) -> None:
        job = await persistence.new_job(run_at=NOW + HOUR)
        await persistence.age(HOUR - 15 * SECOND)
        assert await persistence.claim(job.id) is None
        await persistence.age(15 * SECOND)
        assert await persistence.claim() is not None


class TestWhat:
    async def test_a_claim_is_returned_as_it_is_kept(self, persistence: Persistence) -> None:
        job = new_job(subject=new_id(), payload={"a": "b"}, max_tries=3, request_id="request-1")
        await persistence.add_jobs(job)
        claimed = await persistence.claim(lease=HOUR)
        assert claimed is not None
        assert claimed == await persistence.job(job.id)
        assert (claimed.state, claimed.tries, claimed.fence) == (JobState.RUNNING, 1, 1)
        assert claimed.lease_until is not None
        assert abs(claimed.lease_until - datetime.now(UTC) - HOUR) < 15 * SECOND
        assert (claimed.subject, claimed.payload, claimed.request_id) == (
            job.subject,
            job.payload,
            "request-1",
        )

    async def test_what_is_handed_out_is_a_copy(self, persistence: Persistence) -> None:
        claimed = await persistence.running_job(payload={"a": "b"})
        claimed.fence, claimed.payload = 7, {}
        stored = await persistence.job(claimed.id)
        assert stored is not None
        assert (stored.fence, stored.payload) == (1, {"a": "b"})

    async def test_tries_and_fence_rise_and_the_fence_is_never_reset(self, persistence: Persistence) -> None:
        job = await persistence.new_job()
        for fence, tries in enumerate((1, 2, 3, 1), start=1):
            claimed = await persistence.claim()
            assert claimed is not None
            assert (claimed.fence, claimed.tries) == (fence, tries)
            async with persistence.transactions() as unit:
                found = await unit.ledger.load(job.id)
                assert found is not None
                held, now = found
                held.fail("It broke.", now, 0, final=tries == 3)
                if held.state is JobState.DEAD:
                    held.retry(now)
                unit.ledger.save(held)
                await unit.commit()

    async def test_neither_is_kept_of_work_that_was_not_claimed(self, persistence: Persistence) -> None:
        first, second = await persistence.new_job(), await persistence.new_job()
        await persistence.claim(second.id)
        stored = await persistence.job(first.id)
        assert stored is not None
        assert (stored.state, stored.tries, stored.fence) == (JobState.PENDING, 0, 0)

    async def test_nothing_is_hinted_at(self, persistence: Persistence) -> None:
        await persistence.new_job()
        persistence.hints()
        await persistence.claim()
        assert persistence.hints() == []


class TestRaces:
    async def test_of_twenty_who_claim_ten_jobs_each_job_is_got_once(self, persistence: Persistence) -> None:
        jobs = [new_job() for _ in range(10)]
        await persistence.add_jobs(*jobs)
        hints = [jobs[n % 10].id if n % 3 else None for n in range(20)]
        claimed = await asyncio.gather(*(persistence.claim(hint) for hint in hints))
        got = Counter(job.id for job in claimed if job)
        # One that loses a race for a row may go away with nothing; the row is never got twice.
        got += Counter(job.id for job in await claim_all(persistence))
        assert got == Counter(job.id for job in jobs)
        assert {job.fence for job in claimed if job} == {1}

    async def test_two_who_are_hinted_at_the_same_get_one_each(self, persistence: Persistence) -> None:
        for _ in range(10):
            jobs = [new_job(), new_job()]
            await persistence.add_jobs(*jobs)
            both = await asyncio.gather(*(persistence.claim(jobs[0].id) for _ in range(2)))
            got = [job.id for job in both if job] + [job.id for job in await claim_all(persistence)]
            assert sorted(got) == sorted(job.id for job in jobs)

    async def test_what_another_unit_holds_is_passed_by(self, concurrent_persistence: Persistence) -> None:
        persistence = concurrent_persistence
        held, free = await persistence.new_job(run_at=NOW - HOUR), await persistence.new_job()
        async with persistence.transactions() as unit:
            await unit.ledger.load(held.id)
            job = await persistence.claim(held.id)
            assert job is not None
            assert job.id == free.id
            assert await persistence.claim(held.id) is None
        job = await persistence.claim()
        assert job is not None
        assert job.id == held.id

    async def test_many_workers_do_all_there_is_once(self, persistence: Persistence) -> None:
        jobs = [new_job() for _ in range(60)]
        await persistence.add_jobs(*jobs)

        async def work() -> None:
            while job := await persistence.claim():
                async with persistence.transactions() as unit:
                    unit.ledger.finish(job)
                    unit.samples.refund(job.id)
                    await unit.commit()

        await asyncio.gather(*(work() for _ in range(8)))
        await work()
        refunds = [await persistence.ledger_reads.refunds(job.id) for job in jobs]
        assert refunds == [1] * 60
        assert set(await persistence.states(*jobs)) == {JobState.DONE}
