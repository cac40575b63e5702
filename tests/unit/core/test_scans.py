"""What a scheduler does again and again, and the jobs that clean up."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from support.samples import NOW, World, new_id
from taskflow_core import (
    CleanUp,
    DeadlineExceeded,
    JobKind,
    JobState,
    LeaseLost,
    LedgerEntry,
    Outcome,
    Ran,
    Reconcile,
    Status,
    Unavailable,
)
from taskflow_core.ledger import LEASE, TRIES
from taskflow_core.tasks import as_text
from taskflow_core.use_cases.ledger import clean_up, reconcile
from taskflow_core.use_cases.ledger.reconcile import Reconciled
from taskflow_core.use_cases.tasks import notify_overdue
from taskflow_memory import MemoryQueue
from taskflow_memory.repositories import MemoryTaskRepository
from taskflow_memory.upkeep import MemoryUpkeep
from taskflow_system import Uuid7

SECOND = timedelta(seconds=1)


@pytest.fixture
def world() -> World:
    return World()


def running(world: World, **given: Any) -> LedgerEntry:
    job = world.add_job(**given)
    job.claim(NOW)
    return job


def hints(world: World) -> list[UUID]:
    """What waits in the queue, which is empty after that."""
    found = list(world.queue.hints)
    world.queue.hints.clear()
    return found


class TestReconcile:
    async def test_the_tries_of_workers_that_died_are_ended(self, world: World) -> None:
        tried, spent, alive = running(world), running(world, max_tries=1), running(world)
        world.clock.forward(LEASE + SECOND)
        alive.lease_until = world.clock.now
        claimed = {job.id: replace(job) for job in (tried, spent)}
        done = await world.use_cases.reconcile()
        assert isinstance(done, Reconciled)
        after = world.store.ledger
        error = after[tried.id].error
        assert done.ended == (
            Ran(claimed[tried.id], Outcome.FAILED, error, after[tried.id]),
            Ran(claimed[spent.id], Outcome.DIED, error, after[spent.id]),
        )
        assert done.hinted == 0
        assert {id: job.state for id, job in world.store.ledger.items()} == {
            tried.id: JobState.PENDING,
            spent.id: JobState.DEAD,
            alive.id: JobState.RUNNING,
        }
        assert world.store.ledger[tried.id].run_at == world.clock.now + SECOND / 2

    async def test_what_is_due_is_hinted_at_again(self, world: World) -> None:
        due = [world.add_job(run_at=NOW - n * SECOND) for n in range(3)]
        world.add_job(run_at=NOW + SECOND)
        assert await world.use_cases.reconcile() == Reconciled((), 3)
        assert hints(world) == [job.id for job in reversed(due)]

    async def test_not_while_hints_wait(self, world: World) -> None:
        world.add_job()
        waiting = [new_id() for _ in range(reconcile.HINTS)]
        world.queue.hint(waiting)
        assert not await world.use_cases.reconcile()
        assert hints(world) == waiting
        world.queue.hint(waiting[1:])
        world.clock.forward(reconcile.EVERY)
        assert await world.use_cases.reconcile()
        assert len(hints(world)) == reconcile.HINTS

    async def test_nor_where_nobody_can_tell(self, world: World) -> None:
        class Away(MemoryQueue):
            async def waiting(self) -> int:
                raise Unavailable

        world.add_job()
        expired = running(world)
        world.clock.forward(LEASE + SECOND)
        scan = Reconcile(world.transactions, Away(), lambda: 0)
        assert await scan()
        assert world.store.ledger[expired.id].state is JobState.PENDING
        assert hints(world) == [expired.id]  # of the unit that saved it, not of the scan

    async def test_it_is_due_now_and_then(self, world: World) -> None:
        assert not await world.use_cases.reconcile()
        world.add_job()
        world.clock.forward(reconcile.EVERY - timedelta(microseconds=1))
        assert not await world.use_cases.reconcile()
        world.clock.forward(timedelta(microseconds=1))
        assert await world.use_cases.reconcile()
        assert not await world.use_cases.reconcile()

    async def test_it_goes_on_at_once_where_there_is_more(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reconcile, "EXPIRED_STEP", 2)
        for _ in range(3):
            running(world, max_tries=1)
        world.clock.forward(LEASE + SECOND)
        done = [await world.use_cases.reconcile() for _ in range(3)]
        assert [bool(each) for each in done] == [True, True, False]
        assert {job.state for job in world.jobs()} == {JobState.DEAD}


class TestNotifyOverdue:
    async def test_each_task_that_fell_overdue_is_told_of_once(self, world: World) -> None:
        owner = world.add_user()
        task = world.add_task(owner.id, due_date=NOW - SECOND)
        world.add_task(owner.id, due_date=NOW + SECOND)
        world.add_task(owner.id)
        world.add_task(owner.id, due_date=NOW - SECOND, status=Status.COMPLETED)
        assert await world.use_cases.notify_overdue()
        (job,) = world.jobs(JobKind.TASK_OVERDUE)
        assert (job.subject, job.payload, job.max_tries) == (
            task.id,
            {"due_date": as_text(task.due_date)},
            TRIES,
        )
        assert hints(world) == [job.id]
        world.clock.forward(notify_overdue.EVERY)
        assert not await world.use_cases.notify_overdue()

    async def test_it_is_due_now_and_then(self, world: World) -> None:
        owner = world.add_user()
        assert not await world.use_cases.notify_overdue()
        world.add_task(owner.id, due_date=NOW - SECOND)
        world.clock.forward(notify_overdue.EVERY - timedelta(microseconds=1))
        assert not await world.use_cases.notify_overdue()
        world.clock.forward(timedelta(microseconds=1))
        assert await world.use_cases.notify_overdue()

    async def test_many_are_taken_in_steps_one_right_after_the_other(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(notify_overdue, "STEP", 20)
        owner = world.add_user()
        for _ in range(45):
            world.add_task(owner.id, due_date=NOW - SECOND)
        assert [await world.use_cases.notify_overdue() for _ in range(4)] == [True, True, True, False]
        assert len(world.jobs(JobKind.TASK_OVERDUE)) == len(world.store.told) == 45
        assert len(hints(world)) == 16 + 16 + 5  # enough to wake every worker

    async def test_a_step_that_takes_too_long_is_halved(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tell, steps = MemoryTaskRepository.tell_overdue, []

        async def heavy(self: MemoryTaskRepository, ids: Sequence[UUID], *, max_tries: int) -> Sequence[UUID]:
            steps.append(len(ids))
            if len(ids) > 10:
                raise DeadlineExceeded
            return await tell(self, ids, max_tries=max_tries)

        monkeypatch.setattr(MemoryTaskRepository, "tell_overdue", heavy)
        monkeypatch.setattr(notify_overdue, "STEP", 32)
        owner = world.add_user()
        for _ in range(10):
            world.add_task(owner.id, due_date=NOW - SECOND)
        assert [await world.use_cases.notify_overdue() for _ in range(3)] == [True, True, False]
        assert steps == [32, 16, 8, 32, 16, 8]
        assert len(world.jobs(JobKind.TASK_OVERDUE)) == 10

    async def test_one_that_takes_too_long_by_itself_is_told(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def heavy(*_: object, **__: object) -> Sequence[UUID]:
            raise DeadlineExceeded

        monkeypatch.setattr(MemoryTaskRepository, "tell_overdue", heavy)
        with pytest.raises(DeadlineExceeded):
            await world.use_cases.notify_overdue()


class TestScheduleCleanUp:
    async def test_there_is_a_job_of_each_kind(self, world: World) -> None:
        assert await world.use_cases.schedule_clean_up()
        assert [job.kind for job in world.jobs()] == list(clean_up.KINDS)

    async def test_only_one_at_a_time(self, world: World) -> None:
        pending, busy = world.add_job(clean_up.KINDS[0]), running(world, kind=clean_up.KINDS[1])
        done = running(world, kind=clean_up.KINDS[2])
        done.finish(NOW)
        assert await world.use_cases.schedule_clean_up()
        assert {job.kind for job in world.jobs()} == set(clean_up.KINDS)
        new = {job.kind for job in world.jobs() if job not in (pending, busy, done)}
        assert new == set(clean_up.KINDS) - {pending.kind, busy.kind}

    async def test_it_is_due_now_and_then(self, world: World) -> None:
        assert await world.use_cases.schedule_clean_up()
        world.store.ledger.clear()
        world.clock.forward(clean_up.EVERY - timedelta(microseconds=1))
        assert not await world.use_cases.schedule_clean_up()
        world.clock.forward(timedelta(microseconds=1))
        assert await world.use_cases.schedule_clean_up()

    async def test_nothing_is_made_where_everything_is_there(self, world: World) -> None:
        for kind in clean_up.KINDS:
            world.add_job(kind)
        assert not await world.use_cases.schedule_clean_up()
        assert len(world.jobs()) == len(clean_up.KINDS)


class TestCleanUp:
    def add_outdated(self, world: World, number: int) -> None:
        owner = world.add_user()
        for _ in range(number):
            world.add_task(owner.id, deleted_at=NOW - timedelta(days=32))

    def cleaner(self, world: World, steps: int = clean_up.STEPS) -> CleanUp:
        return CleanUp(world.transactions, world.clock, Uuid7(), steps)

    @pytest.mark.parametrize("kind", clean_up.KINDS)
    async def test_each_kind_has_its_handler(self, world: World, kind: JobKind) -> None:
        world.add_job(kind)
        ran = await world.use_cases.run_job()
        assert ran is not None
        assert (ran.job.kind, ran.outcome) == (kind, Outcome.DONE)

    async def test_all_of_it_goes_in_steps_that_renew_the_claim(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clean_up, "STEP", 3)
        self.add_outdated(world, 7)
        job = running(world, kind=JobKind.CLEAN_TASKS)
        world.clock.forward(SECOND)
        assert await self.cleaner(world)(job) is None
        assert world.store.tasks == {}
        assert world.store.ledger[job.id].lease_until == NOW + SECOND + LEASE

    async def test_what_is_left_is_another_jobs(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clean_up, "STEP", 3)
        self.add_outdated(world, 7)
        job = running(world, kind=JobKind.CLEAN_TASKS)
        effect = await self.cleaner(world, steps=2)(job)
        assert len(world.store.tasks) == 1
        assert effect is not None
        async with world.transactions() as unit:
            await effect(unit)
            await unit.commit()
        (follower,) = (other for other in world.jobs(JobKind.CLEAN_TASKS) if other.id != job.id)
        assert follower.is_due(NOW)

    @pytest.mark.parametrize(("tries", "most"), [(1, 2), (2, 1), (9, 1), (1, 500)])
    async def test_what_is_heavy_goes_in_smaller_steps(
        self, world: World, monkeypatch: pytest.MonkeyPatch, tries: int, most: int
    ) -> None:
        asked = self.heavy(monkeypatch, most)
        self.add_outdated(world, 7)
        job = running(world, kind=JobKind.CLEAN_TASKS)
        job.tries = tries
        await self.cleaner(world)(job)
        assert world.store.tasks == {}
        assert asked[-1] <= most
        # The more tries, the less a try begins with: there is no time to try out all sizes in one.
        assert asked[0] == max(1, clean_up.STEP // 4 ** (tries - 1))

    async def test_sizes_that_are_tried_out_count_as_steps(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = self.heavy(monkeypatch, 2)
        self.add_outdated(world, 7)
        effect = await self.cleaner(world, steps=10)(running(world, kind=JobKind.CLEAN_TASKS))
        assert asked == [500, 250, 125, 62, 31, 15, 7, 3, 1, 1]
        assert effect is not None
        assert len(world.store.tasks) == 5

    async def test_a_single_one_that_is_too_heavy_fails_the_try(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.heavy(monkeypatch, 0)
        with pytest.raises(DeadlineExceeded):
            await self.cleaner(world)(running(world, kind=JobKind.CLEAN_TASKS))

    def heavy(self, monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
        """Have no more than so many go at a time; return the sizes that are asked for."""
        asked: list[int] = []
        remove = MemoryUpkeep.remove

        async def slow(upkeep: MemoryUpkeep, what: JobKind, *, limit: int) -> int:
            asked.append(limit)
            if limit > most:
                raise DeadlineExceeded
            return await remove(upkeep, what, limit=limit)

        monkeypatch.setattr(MemoryUpkeep, "remove", slow)
        return asked

    async def test_who_lost_the_claim_removes_nothing(self, world: World) -> None:
        self.add_outdated(world, 1)
        job = running(world, kind=JobKind.CLEAN_TASKS)
        late = LedgerEntry.create(id=job.id, kind=job.kind, now=NOW)
        with pytest.raises(LeaseLost):
            await self.cleaner(world)(late)
        assert len(world.store.tasks) == 1
