"""Watching background work, lending it a hand, and the demonstration that both can be tried with."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.samples import NOW, World, actor, new_id
from taskflow_core import (
    DeadJobs,
    InvalidInput,
    JobKind,
    JobNotDead,
    JobQuery,
    JobState,
    JobView,
    LedgerEntry,
    NotFound,
    Outcome,
    Role,
    Sample,
    User,
)
from taskflow_core.ledger import KindStats
from taskflow_core.use_cases.ledger import dead_letters
from taskflow_core.use_cases.ledger.sample import SAMPLE_TRIES

SECOND = timedelta(seconds=1)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def admin(world: World) -> User:
    return world.add_user(Role.ADMIN)


def dead(world: World, kind: str = "kind", **given: object) -> LedgerEntry:
    job = world.add_job(kind, **given)
    job.claim(NOW)
    job.fail("It broke.", NOW, 0, final=True)
    return job


class TestWatching:
    async def test_one_is_found(self, world: World, admin: User) -> None:
        job = dead(world)
        assert await world.use_cases.find_job(job.id, actor(admin)) == JobView.of(job)
        with pytest.raises(NotFound):
            await world.use_cases.find_job(new_id(), actor(admin))

    async def test_they_are_listed_newest_first_in_pages(self, world: World, admin: User) -> None:
        jobs = [dead(world) for _ in range(5)]
        world.add_job()
        query = JobQuery(state=JobState.DEAD, limit=3)
        first = await world.use_cases.list_jobs(query, actor(admin))
        rest = await world.use_cases.list_jobs(replace(query, after=first.next), actor(admin))
        assert [job.id for job in (*first.items, *rest.items)] == [job.id for job in reversed(jobs)]
        assert first.next is not None
        assert (first.next.as_of, rest.next) == (NOW, None)

    @pytest.mark.parametrize("limit", [0, 101])
    async def test_a_page_has_its_bounds(self, world: World, admin: User, limit: int) -> None:
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.list_jobs(JobQuery(limit=limit), actor(admin))
        assert [fault.path for fault in caught.value.faults] == [("limit",)]

    @pytest.mark.parametrize("kind", ["", "a\0b"])
    async def test_a_kind_is_a_text(self, world: World, admin: User, kind: str) -> None:
        for ask in (
            world.use_cases.list_jobs(JobQuery(kind=kind), actor(admin)),
            world.use_cases.retry_jobs(DeadJobs(kind), actor(admin)),
        ):
            with pytest.raises(InvalidInput) as caught:
                await ask
            assert [fault.path for fault in caught.value.faults] == [("kind",)]

    async def test_they_are_counted_by_kind(self, world: World, admin: User) -> None:
        dead(world, "b")
        world.add_job("a", run_at=NOW - SECOND)
        world.add_job("a", run_at=NOW + SECOND)
        assert (await world.use_cases.count_jobs(actor(admin))).kinds == (
            KindStats("a", due=1, scheduled=1, running=0, dead=0, oldest_due_at=NOW - SECOND),
            KindStats("b", due=0, scheduled=0, running=0, dead=1, oldest_due_at=None),
        )


class TestRetrying:
    async def test_a_dead_one_begins_anew(self, world: World, admin: User) -> None:
        job = dead(world, max_tries=1)
        world.clock.forward()
        view = await world.use_cases.retry_job(job.id, actor(admin))
        stored = world.store.ledger[job.id]
        assert view == JobView.of(stored)
        assert (view.state, view.attempts, view.run_at) == (JobState.PENDING, 0, world.clock.now)
        assert list(world.queue.hints) == [job.id]

    async def test_nothing_else_does(self, world: World, admin: User) -> None:
        job = world.add_job(tries=1)
        with pytest.raises(JobNotDead):
            await world.use_cases.retry_job(job.id, actor(admin))
        assert world.store.ledger[job.id].tries == 1

    async def test_all_of_a_kind_do_in_steps(
        self, world: World, admin: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dead_letters, "RETRY_STEP", 2)
        jobs = [dead(world) for _ in range(3)]
        other, waiting = dead(world, "other"), world.add_job(run_at=NOW + SECOND)
        first = await world.use_cases.retry_jobs(DeadJobs("kind"), actor(admin))
        assert (first.number, first.next) == (2, DeadJobs("kind", NOW))
        assert [world.store.ledger[job.id].state for job in jobs] == [
            JobState.PENDING,
            JobState.PENDING,
            JobState.DEAD,
        ]
        assert first.next is not None
        second = await world.use_cases.retry_jobs(first.next, actor(admin))
        assert (second.number, second.next) == (1, None)
        assert world.store.ledger[other.id] == other
        assert world.store.ledger[waiting.id] == waiting
        assert list(world.queue.hints) == [job.id for job in jobs]

    async def test_that_comes_to_an_end_also_where_they_die_again_at_once(
        self, world: World, admin: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dead_letters, "RETRY_STEP", 2)
        jobs = [dead(world) for _ in range(5)]
        left: DeadJobs | None = DeadJobs("kind")
        retried = []
        while left is not None:
            step = await world.use_cases.retry_jobs(left, actor(admin))
            retried.append(step.number)
            left = step.next
            world.clock.forward()
            for job in world.jobs():
                if job.state is JobState.PENDING:
                    job.claim(world.clock.now)
                    job.fail("It broke.", world.clock.now, 0, final=True)
        assert retried == [2, 2, 1]
        assert [world.store.ledger[job.id].fence for job in jobs] == [2] * 5

    async def test_a_time_to_come_is_no_later_than_now(
        self, world: World, admin: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dead_letters, "RETRY_STEP", 1)
        dead(world)
        early = await world.use_cases.retry_jobs(DeadJobs("kind", NOW - SECOND), actor(admin))
        assert (early.number, early.next) == (0, None)
        step = await world.use_cases.retry_jobs(DeadJobs("kind", NOW + SECOND), actor(admin))
        assert (step.number, step.next) == (1, DeadJobs("kind", NOW))

    async def test_a_time_has_an_offset(self, world: World, admin: User) -> None:
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.retry_jobs(DeadJobs("kind", NOW.replace(tzinfo=None)), actor(admin))
        assert [fault.path for fault in caught.value.faults] == [("as_of",)]


class TestDiscarding:
    async def test_a_dead_one_goes(self, world: World, admin: User) -> None:
        job, other = dead(world), dead(world)
        assert await world.use_cases.discard_job(job.id, actor(admin)) == JobView.of(job)
        assert world.jobs() == [other]
        with pytest.raises(NotFound):
            await world.use_cases.discard_job(job.id, actor(admin))

    async def test_nothing_else_does(self, world: World, admin: User) -> None:
        job = world.add_job()
        with pytest.raises(JobNotDead):
            await world.use_cases.discard_job(job.id, actor(admin))
        assert world.jobs() == [job]


class TestSamples:
    async def test_it_fails_as_often_as_it_was_told_and_is_refunded_once(
        self, world: World, admin: User
    ) -> None:
        view = await world.use_cases.add_sample(Sample(fail=2), actor(admin, "request-1"))
        assert list(world.queue.hints) == [view.id]
        outcomes = []
        for _ in range(3):
            world.clock.forward(timedelta(hours=1))
            ran = await world.use_cases.run_job()
            assert ran is not None
            outcomes.append((ran.outcome, ran.error))
        told = "The bank did not answer (try {} of this sample was told to fail)."
        assert outcomes == [
            (Outcome.FAILED, told.format(1)),
            (Outcome.FAILED, told.format(2)),
            (Outcome.DONE, None),
        ]
        assert await world.use_cases.run_job() is None
        assert world.store.refunds == {view.id: 1}

    async def test_the_view_tells_what_was_made(self, world: World, admin: User) -> None:
        view = await world.use_cases.add_sample(Sample(), actor(admin, "request-1"))
        (job,) = world.jobs()
        assert view == JobView.of(job)
        assert (view.kind, view.max_attempts, view.request_id) == (
            JobKind.SAMPLE_REFUND,
            SAMPLE_TRIES,
            "request-1",
        )

    async def test_it_dies_where_it_fails_too_often(self, world: World, admin: User) -> None:
        view = await world.use_cases.add_sample(Sample(fail=1, max_tries=1), actor(admin))
        ran = await world.use_cases.run_job(view.id)
        assert ran is not None
        assert ran.outcome is Outcome.DIED
        assert world.store.refunds == {}

    async def test_one_that_died_is_done_once_it_failed_as_often_as_it_was_told(
        self, world: World, admin: User
    ) -> None:
        view = await world.use_cases.add_sample(Sample(fail=2, max_tries=1), actor(admin))
        outcomes = []
        for _ in range(3):
            ran = await world.use_cases.run_job(view.id)
            assert ran is not None
            outcomes.append(ran.outcome)
            if ran.outcome is Outcome.DIED:
                await world.use_cases.retry_job(view.id, actor(admin))
        assert outcomes == [Outcome.DIED, Outcome.DIED, Outcome.DONE]
        assert world.store.refunds == {view.id: 1}

    @pytest.mark.parametrize("fine", [Sample(fail=0, max_tries=1), Sample(fail=100, max_tries=100)])
    async def test_within_its_bounds(self, world: World, admin: User, fine: Sample) -> None:
        view = await world.use_cases.add_sample(fine, actor(admin))
        assert view.max_attempts == fine.max_tries

    @pytest.mark.parametrize(
        "wrong",
        [Sample(fail=-1, max_tries=0), Sample(fail=101, max_tries=101), Sample(fail=101, max_tries=-1)],
    )
    async def test_beyond_its_bounds_all_faults_are_told(
        self, world: World, admin: User, wrong: Sample
    ) -> None:
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.add_sample(wrong, actor(admin))
        assert [fault.path for fault in caught.value.faults] == [("fail",), ("max_tries",)]
        assert world.jobs() == []
