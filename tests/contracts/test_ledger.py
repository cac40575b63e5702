"""Background work in units of work: what is kept comes back, and is all kept or nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.persistence import Persistence
from contracts.test_round_trips import NASTY, assert_no_field_is_at_its_default
from support.samples import NOW, entry_of, new_id, new_job, new_task
from taskflow_core import EmailTaken, JobState, UnknownOwner
from taskflow_core.ledger import LEASE, TRIES

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
SOON = timedelta(seconds=15)
"""How far the store's clock may be from where a test thinks it is."""


def is_about(time: datetime | None, expected: datetime) -> bool:
    return time is not None and abs(time - expected) < SOON


class TestRoundTrips:
    async def test_new_work_comes_back_as_it_was_made(self, persistence: Persistence) -> None:
        job = new_job(
            "a.kind-of:its_own",
            subject=new_id(),
            payload={"text": NASTY, "empty": ""},
            max_tries=7,
            request_id=NASTY,
        )
        await persistence.add_jobs(job)
        stored = await persistence.job(job.id)
        assert stored is not None
        assert stored == replace(job, run_at=stored.run_at)
        assert stored.state is JobState.PENDING
        assert stored.run_at.utcoffset() == timedelta(0)

    async def test_with_nothing_where_it_has_nothing(self, persistence: Persistence) -> None:
        job = await persistence.new_job()
        stored = await persistence.job(job.id)
        assert stored is not None
        assert (stored.subject, stored.payload, stored.max_tries) == (None, {}, TRIES)
        assert (stored.lease_until, stored.error, stored.finished_at, stored.request_id) == (None,) * 4

    @pytest.mark.parametrize("state", JobState)
    async def test_saving_writes_every_field_that_moves(
        self, persistence: Persistence, state: JobState
    ) -> None:
        job = await persistence.running_job(subject=new_id(), payload={"a": "b"}, request_id="request-1")
        over = state in (JobState.DONE, JobState.DEAD)
        async with persistence.transactions() as unit:
            found = await unit.ledger.load(job.id)
            assert found is not None
            changed = replace(
                found[0], state=state, tries=5, run_at=NOW + HOUR + timedelta(microseconds=7), error=NASTY,
                lease_until=NOW + 2 * HOUR if state is JobState.RUNNING else None,
                finished_at=NOW + 3 * HOUR if over else None,
            )  # fmt: skip
            unit.ledger.save(changed)
            await unit.commit()
        stored = await persistence.job(job.id)
        assert stored == changed
        assert stored is not None
        assert type(stored.state) is JobState
        if state is JobState.DONE:
            assert_no_field_is_at_its_default(replace(stored, max_tries=99), but="lease_until")

    async def test_what_was_handed_out_is_a_copy(self, persistence: Persistence) -> None:
        job = new_job(payload={"a": "b"})
        await persistence.add_jobs(job)
        stored = await persistence.job(job.id)
        assert stored is not None
        job.kind = stored.kind = "changed"
        job.payload = stored.payload = {}
        again = await persistence.job(job.id)
        assert again is not None
        assert (again.kind, again.payload) == ("kind", {"a": "b"})

    async def test_what_is_not_there_is_none(self, persistence: Persistence) -> None:
        assert await persistence.job(new_id()) is None

    async def test_it_can_be_removed(self, persistence: Persistence) -> None:
        job, other = await persistence.new_job(), await persistence.new_job()
        async with persistence.transactions() as unit:
            found = await unit.ledger.load(job.id)
            assert found is not None
            unit.ledger.remove(found[0])
            await unit.commit()
        assert await persistence.job(job.id) is None
        assert await persistence.job(other.id) is not None


class TestTime:
    """All times are the store's, whatever clock made an entry."""

    @pytest.mark.parametrize("made_at", [NOW - 1_000 * HOUR, datetime(2098, 1, 1, tzinfo=UTC)])
    async def test_it_is_due_as_long_after_the_stores_time_as_it_was_to_wait(
        self, persistence: Persistence, made_at: datetime
    ) -> None:
        at_once = await persistence.new_job(created_at=made_at)
        later = await persistence.new_job(created_at=made_at, run_at=made_at + HOUR)
        now = datetime.now(UTC)
        for job, due_at in ((at_once, now), (later, now + HOUR)):
            stored = await persistence.job(job.id)
            assert stored is not None
            assert is_about(stored.run_at, due_at)
            assert stored.created_at == made_at

    async def test_the_stores_time_comes_with_what_is_loaded(self, persistence: Persistence) -> None:
        job = await persistence.new_job()
        async with persistence.transactions() as unit:
            found = await unit.ledger.load(job.id)
            _, with_expired = await unit.ledger.load_expired(limit=1)
            _, with_dead = await unit.ledger.load_dead("kind", as_of=None, limit=1)
        assert found is not None
        for now in (found[1], with_expired, with_dead):
            assert is_about(now, datetime.now(UTC))


class TestLoading:
    async def test_only_what_ran_too_long_is_expired(self, persistence: Persistence) -> None:
        await persistence.new_job()
        await persistence.kill((await persistence.running_job()).id)
        done = await persistence.running_job()
        await persistence.finish(done)
        old = [await persistence.running_job() for _ in range(3)]
        await persistence.age(LEASE + SECOND)
        young = await persistence.running_job()
        async with persistence.transactions() as unit:
            entries, now = await unit.ledger.load_expired(limit=10)
        assert [entry.id for entry in entries] == [job.id for job in old]
        assert {entry.state for entry in entries} == {JobState.RUNNING}
        assert all(entry.lease_until is not None and entry.lease_until < now for entry in entries)
        assert young.id not in {entry.id for entry in entries}
        async with persistence.transactions() as unit:
            entries, _ = await unit.ledger.load_expired(limit=2)
        assert [entry.id for entry in entries] == [job.id for job in old[:2]]

    async def test_the_dead_of_a_kind_come_the_longest_dead_first(self, persistence: Persistence) -> None:
        dead = [await persistence.running_job() for _ in range(3)]
        for job in reversed(dead):
            await persistence.kill(job.id)
            await persistence.age(SECOND)
        await persistence.kill((await persistence.running_job("other")).id)
        await persistence.new_job()
        async with persistence.transactions() as unit:
            entries, _ = await unit.ledger.load_dead("kind", as_of=None, limit=10)
            some, _ = await unit.ledger.load_dead("kind", as_of=None, limit=2)
            none, _ = await unit.ledger.load_dead("nothing", as_of=None, limit=2)
        assert [entry.id for entry in entries] == [job.id for job in reversed(dead)]
        assert [entry.id for entry in some] == [job.id for job in dead[:0:-1]]
        assert list(none) == []
        assert entries[0].error == "It broke."

    async def test_those_that_died_later_are_left_out(self, persistence: Persistence) -> None:
        jobs = [await persistence.running_job() for _ in range(3)]
        first, second = await persistence.kill(jobs[2].id), await persistence.kill(jobs[1].id)
        async with persistence.transactions() as unit:
            _, as_of = await unit.ledger.load_dead("kind", as_of=None, limit=1)
        await persistence.age(SECOND)
        await persistence.kill(jobs[0].id)
        async with persistence.transactions() as unit:
            entries, now = await unit.ledger.load_dead("kind", as_of=as_of, limit=10)
            none, _ = await unit.ledger.load_dead("kind", as_of=as_of - HOUR, limit=10)
            every, _ = await unit.ledger.load_dead("kind", as_of=now + HOUR, limit=10)
        assert {entry.id for entry in entries} == {first.id, second.id}
        assert list(none) == []
        assert len(every) == 3

    async def test_payloads_are_not_loaded_with_many_and_stay_what_they_are(
        self, persistence: Persistence
    ) -> None:
        payload = {"text": NASTY}
        dead = await persistence.running_job(payload=payload)
        await persistence.kill(dead.id)
        expired = await persistence.running_job(payload=payload)
        await persistence.age(LEASE + SECOND)
        async with persistence.transactions() as unit:
            (died,), now = await unit.ledger.load_dead("kind", as_of=None, limit=1)
            (ran,), _ = await unit.ledger.load_expired(limit=1)
            assert (died.id, died.payload) == (dead.id, {})
            assert (ran.id, ran.payload) == (expired.id, {})
            died.retry(now)
            ran.expire(now, 0)
            unit.ledger.save(died)
            unit.ledger.save(ran)
            await unit.commit()
        for job in (dead, expired):
            stored = await persistence.job(job.id)
            assert stored is not None
            assert (stored.state, stored.payload) == (JobState.PENDING, payload)

    async def test_neither_waits_for_what_others_hold(self, concurrent_persistence: Persistence) -> None:
        persistence = concurrent_persistence
        expired = [await persistence.running_job() for _ in range(2)]
        dead = [await persistence.running_job() for _ in range(2)]
        for job in dead:
            await persistence.kill(job.id)
        await persistence.age(LEASE + SECOND)
        async with persistence.transactions() as holder:
            for held in (expired[0], dead[0]):
                await holder.ledger.load(held.id)
            async with persistence.transactions() as unit:
                found, _ = await unit.ledger.load_expired(limit=10)
                found_dead, _ = await unit.ledger.load_dead("kind", as_of=None, limit=10)
        assert [entry.id for entry in found] == [expired[1].id]
        assert [entry.id for entry in found_dead] == [dead[1].id]

    async def test_what_is_loaded_is_locked(
        self, concurrent_persistence: Persistence, somebody_waits: Callable[[], Awaitable[None]]
    ) -> None:
        persistence = concurrent_persistence
        job = await persistence.running_job()
        async with persistence.transactions() as unit:
            await unit.ledger.load(job.id)
            late = asyncio.ensure_future(persistence.finish(job))
            await somebody_waits()
            await unit.commit()
        await late
        assert await persistence.states(job) == [JobState.DONE]

    async def test_due_ones_come_the_longest_due_first(self, persistence: Persistence) -> None:
        jobs = [await persistence.new_job(run_at=NOW - n * HOUR) for n in range(5)]
        await persistence.new_job(run_at=NOW + HOUR)
        await persistence.running_job()
        async with persistence.transactions() as unit:
            due = await unit.ledger.due(limit=3)
            assert list(due) == [job.id for job in reversed(jobs)][:3]
            assert len(await unit.ledger.due(limit=100)) == 5

    async def test_unfinished_kinds_are_told(self, persistence: Persistence) -> None:
        await persistence.new_job("waits")
        await persistence.new_job("waits")
        await persistence.running_job("runs")
        await persistence.kill((await persistence.running_job("died")).id)
        await persistence.finish(await persistence.running_job("done"))
        async with persistence.transactions() as unit:
            kinds = await unit.ledger.unfinished(["waits", "runs", "died", "done", "unknown"])
            assert kinds == {"waits", "runs"}
            assert await unit.ledger.unfinished(["runs"]) == {"runs"}
            assert await unit.ledger.unfinished([]) == frozenset()


class TestAllOrNothing:
    async def test_leaving_without_commit_keeps_nothing(self, persistence: Persistence) -> None:
        job, new = await persistence.running_job(), new_job()
        persistence.hints()
        async with persistence.transactions() as unit:
            found = await unit.ledger.load(job.id)
            assert found is not None
            found[0].give_back(found[1])
            unit.ledger.save(found[0])
            unit.ledger.add(new)
            unit.ledger.finish(job)
            unit.ledger.renew(job, HOUR)
            unit.ledger.remove(job)
            unit.ledger.hint([job.id])
            unit.samples.refund(job.id)
        assert await persistence.job(job.id) == job
        assert await persistence.job(new.id) is None
        assert await persistence.ledger_reads.refunds(job.id) == 0
        assert persistence.hints() == []

    async def test_work_of_a_refused_unit_is_not_kept(self, persistence: Persistence) -> None:
        taken = await persistence.new_user()
        jobs = [new_job(), new_job()]
        orphan = new_task(new_id())

        async def assign_to_nobody() -> None:
            async with persistence.transactions() as unit:
                unit.tasks.add(orphan, entry_of(orphan))
                unit.ledger.add(jobs[0])
                await unit.commit()

        async def take_an_email() -> None:
            user = replace(taken, id=new_id())
            async with persistence.transactions() as unit:
                unit.users.add(user)
                unit.ledger.add(jobs[1])
                await unit.commit()

        with pytest.raises(UnknownOwner):
            await assign_to_nobody()
        with pytest.raises(EmailTaken):
            await take_an_email()
        assert [await persistence.job(job.id) for job in jobs] == [None, None]
        assert persistence.hints() == []

    async def test_it_is_kept_with_what_it_is_about(self, persistence: Persistence) -> None:
        owner = await persistence.new_user()
        task = new_task(owner.id)
        job = new_job(subject=task.id)
        async with persistence.transactions() as unit:
            unit.tasks.add(task, entry_of(task))
            unit.ledger.add(job)
            await unit.commit()
        assert await persistence.task(task.id) == task
        assert await persistence.job(job.id) is not None

    async def test_it_stays_when_accounts_go(self, persistence: Persistence) -> None:
        owner = await persistence.new_user()
        job = await persistence.new_job(subject=owner.id)
        await persistence.mark_deleted(owner.id)
        await persistence.purge_all()
        assert await persistence.job(job.id) is not None
