"""Tasks that fell overdue are told of once per due date, and nothing else of them moves."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.persistence import Persistence
from support.samples import OPERATOR, entry_of, new_id, new_task
from taskflow_core import JobKind, JobState, LedgerEntry, Status, Task, TaskChanges, TaskView
from taskflow_core.tasks import as_text
from taskflow_core.use_cases.tasks import notify_overdue

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
SOON = timedelta(seconds=15)


def ago(by: timedelta) -> datetime:
    """By the store's clock, which no test can stop."""
    return (datetime.now(UTC) - by).replace(microsecond=123_000)


async def tell(persistence: Persistence, number: int = 100, *, max_tries: int = 16) -> list[LedgerEntry]:
    """The jobs that are made, as they are kept."""
    async with persistence.transactions() as unit:
        taken = await unit.tasks.tell_overdue([new_id() for _ in range(number)], max_tries=max_tries)
        await unit.commit()
    jobs = [await persistence.job(id) for id in taken]
    assert None not in jobs
    return [job for job in jobs if job]


async def told_of(persistence: Persistence, number: int = 100) -> set[UUID | None]:
    return {job.subject for job in await tell(persistence, number)}


async def change(persistence: Persistence, task: Task, changes: TaskChanges) -> None:
    async with persistence.transactions() as unit:
        loaded = (await unit.tasks.load([task.id]))[task.id]
        entry = loaded.change(changes, entry_id=new_id(), actor=OPERATOR, now=datetime.now(UTC))
        assert entry is not None
        unit.tasks.save(loaded, entry)
        await unit.commit()


async def add_told(persistence: Persistence, owner: UUID, **given: object) -> Task:
    """A task that counts as told of, where it is overdue already."""
    task = new_task(owner, **given)
    async with persistence.transactions() as unit:
        unit.tasks.add(task, entry_of(task), told=True)
        await unit.commit()
    return task


async def rearm(
    persistence: Persistence, task: Task | TaskView, due_date: datetime, *, commit: bool = True
) -> None:
    async with persistence.transactions() as unit:
        unit.tasks.rearm(task.id, due_date)
        if commit:
            await unit.commit()


@pytest.fixture
async def owner(persistence: Persistence) -> UUID:
    return (await persistence.new_user()).id


class TestWhich:
    async def test_each_that_is_overdue_is_told_of_once(self, persistence: Persistence, owner: UUID) -> None:
        tasks = [
            await persistence.new_task(owner, due_date=ago(HOUR), status=status)
            for status in (Status.PENDING, Status.IN_PROGRESS)
        ]
        assert await told_of(persistence) == {task.id for task in tasks}
        assert await told_of(persistence) == set()

    async def test_not_what_is_closed_deleted_or_not_due(self, persistence: Persistence, owner: UUID) -> None:
        for status in (Status.COMPLETED, Status.CANCELLED):
            await persistence.new_task(owner, due_date=ago(HOUR), status=status)
        await persistence.new_task(owner, due_date=ago(HOUR), deleted_at=ago(SECOND))
        await persistence.new_task(owner, due_date=ago(-HOUR))
        await persistence.new_task(owner)
        assert await tell(persistence) == []

    async def test_one_falls_overdue_by_the_stores_clock(self, persistence: Persistence, owner: UUID) -> None:
        task = await persistence.new_task(owner, due_date=ago(-HOUR))
        assert await told_of(persistence) == set()
        await persistence.age(HOUR - SOON)
        assert await told_of(persistence) == set()
        await persistence.age(2 * SOON)
        assert await told_of(persistence) == {task.id}
        assert await told_of(persistence) == set()

    async def test_the_longest_overdue_come_first_as_many_as_there_are_ids(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        tasks = [await persistence.new_task(owner, due_date=ago(n * HOUR)) for n in (1, 3, 2, 5, 4)]
        oldest_first = [tasks[n].id for n in (3, 4, 1, 2, 0)]
        assert await told_of(persistence, 0) == set()
        assert await told_of(persistence, 2) == set(oldest_first[:2])
        assert await told_of(persistence, 2) == set(oldest_first[2:4])
        assert await told_of(persistence, 2) == {oldest_first[4]}
        assert await told_of(persistence, 2) == set()

    async def test_one_unit_may_take_them_in_two_steps(self, persistence: Persistence, owner: UUID) -> None:
        for _ in range(5):
            await persistence.new_task(owner, due_date=ago(HOUR))
        async with persistence.transactions() as unit:
            steps = [await unit.tasks.tell_overdue([new_id(), new_id()], max_tries=1) for _ in range(3)]
            await unit.commit()
        assert [len(step) for step in steps] == [2, 2, 1]
        jobs = [await persistence.job(id) for step in steps for id in step]
        assert len({job.subject for job in jobs if job}) == 5

    async def test_many_at_once(self, persistence: Persistence, owner: UUID) -> None:
        tasks = [new_task(owner, due_date=ago(HOUR)) for _ in range(300)]
        await persistence.add_tasks(*tasks)
        told = [job.subject for _ in range(3) for job in await tell(persistence, 120)]
        assert len(told) == 300
        assert set(told) == {task.id for task in tasks}


class TestWhat:
    @pytest.mark.parametrize("microsecond", [0, 1, 123_000, 999_999])
    async def test_the_job_tells_of_the_task_and_its_due_date(
        self, persistence: Persistence, owner: UUID, microsecond: int
    ) -> None:
        due_date = ago(HOUR).replace(microsecond=microsecond)
        task = await persistence.new_task(owner, due_date=due_date)
        id = new_id()
        async with persistence.transactions() as unit:
            taken = await unit.tasks.tell_overdue([id, new_id()], max_tries=7)
            await unit.commit()
        assert list(taken) == [id]
        job = await persistence.job(id)
        assert job is not None
        assert job == LedgerEntry(
            id=id, kind=JobKind.TASK_OVERDUE, subject=task.id, payload={"due_date": as_text(due_date) or ""},
            created_at=job.created_at, run_at=job.run_at, max_tries=7,
        )  # fmt: skip
        for time in (job.created_at, job.run_at):
            assert abs(time - datetime.now(UTC)) < 15 * SECOND
        assert await persistence.claim(id, JobKind.TASK_OVERDUE) is not None

    async def test_each_due_date_is_told_with_its_own_task(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        tasks = [await persistence.new_task(owner, due_date=ago(n * HOUR)) for n in range(1, 6)]
        jobs = await tell(persistence)
        told = {job.subject: job.payload["due_date"] for job in jobs}
        assert told == {task.id: as_text(task.due_date) for task in tasks}
        assert len({job.id for job in jobs}) == 5
        assert {job.state for job in jobs} == {JobState.PENDING}

    async def test_neither_version_nor_history_nor_the_owners_data_move(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        task = await persistence.new_task(owner, due_date=ago(HOUR))
        before = await persistence.data_version(owner)
        await tell(persistence)
        async with persistence.transactions() as unit:
            unit.tasks.rearm(task.id, task.due_date or ago(HOUR))
            await unit.commit()
        assert await persistence.task(task.id) == task
        assert len(await persistence.history(task.id)) == 1
        assert await persistence.data_version(owner) == before

    async def test_nothing_is_hinted_at_unasked(self, persistence: Persistence, owner: UUID) -> None:
        await persistence.new_task(owner, due_date=ago(HOUR))
        await tell(persistence)
        assert persistence.hints() == []

    async def test_without_commit_nothing_is_kept(self, persistence: Persistence, owner: UUID) -> None:
        task, id = await persistence.new_task(owner, due_date=ago(HOUR)), new_id()
        async with persistence.transactions() as unit:
            assert list(await unit.tasks.tell_overdue([id], max_tries=1)) == [id]
        assert await persistence.job(id) is None
        assert await told_of(persistence) == {task.id}


class TestArming:
    async def test_moving_the_due_date_arms_it_again(self, persistence: Persistence, owner: UUID) -> None:
        task = await persistence.new_task(owner, due_date=ago(3 * HOUR))
        await tell(persistence)
        await change(persistence, task, TaskChanges(due_date=ago(-HOUR)))
        assert await told_of(persistence) == set()
        await change(persistence, task, TaskChanges(due_date=ago(2 * HOUR)))
        assert await told_of(persistence) == {task.id}
        assert await told_of(persistence) == set()

    async def test_a_due_date_that_comes_back_is_not_told_of_again(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        first, second, third = (ago(n * HOUR) for n in (3, 2, 1))
        task = await persistence.new_task(owner, due_date=first)
        assert await told_of(persistence) == {task.id}
        for due_date, new in (
            (second, True), (first, False), (second, False), (third, True), (first, False), (second, False),
            (third, False),
        ):  # fmt: skip
            await change(persistence, task, TaskChanges(due_date=due_date))
            jobs = await tell(persistence)
            assert [job.payload["due_date"] for job in jobs] == ([as_text(due_date)] if new else [])

    async def test_the_last_so_many_due_dates_are_remembered(
        self, persistence: Persistence, owner: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(notify_overdue, "TOLD_KEPT", 3)
        due_dates = [ago(n * HOUR) for n in range(1, 6)]
        task = await persistence.new_task(owner)
        for due_date in due_dates:
            await change(persistence, task, TaskChanges(due_date=due_date))
            assert await told_of(persistence) == {task.id}
            assert await told_of(persistence) == set()
        for due_date in (due_dates[2], due_dates[3], due_dates[4]):
            await change(persistence, task, TaskChanges(due_date=due_date))
            assert await told_of(persistence) == set()
        await change(persistence, task, TaskChanges(due_date=due_dates[1]))
        assert await told_of(persistence) == {task.id}  # so long ago that it is forgotten
        await change(persistence, task, TaskChanges(due_date=due_dates[2]))
        assert await told_of(persistence) == {task.id}
        for due_date in (due_dates[4], due_dates[1]):
            await change(persistence, task, TaskChanges(due_date=due_date))
            assert await told_of(persistence) == set()

    async def test_one_that_was_a_mistake_lets_none_before_it_be_told_of_again(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        meant, mistaken = ago(2 * HOUR), ago(HOUR)
        task = await persistence.new_task(owner, due_date=meant)
        await tell(persistence)
        await change(persistence, task, TaskChanges(due_date=mistaken))
        assert await told_of(persistence) == {task.id}
        await change(persistence, task, TaskChanges(due_date=meant))
        await rearm(persistence, task, mistaken)  # as its job does that finds it moved
        assert await told_of(persistence) == set()
        await change(persistence, task, TaskChanges(due_date=mistaken))
        assert await told_of(persistence) == {task.id}
        assert await told_of(persistence) == set()

    async def test_an_earlier_one_can_be_armed_by_itself(self, persistence: Persistence, owner: UUID) -> None:
        first, second, third = (ago(n * HOUR) for n in (3, 2, 1))
        task = await persistence.new_task(owner, due_date=first)
        await tell(persistence)
        for due_date in (second, third):
            await change(persistence, task, TaskChanges(due_date=due_date))
            await tell(persistence)
        await rearm(persistence, task, first)
        assert await told_of(persistence) == set()  # it is due at the third
        for due_date, new in (
            (second, False),
            (first, True),
            (second, False),
            (third, False),
            (first, False),
        ):
            await change(persistence, task, TaskChanges(due_date=due_date))
            assert await told_of(persistence) == ({task.id} if new else set())

    async def test_while_its_job_waits_moving_it_to_and_fro_makes_no_other(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        due_date = ago(HOUR)
        task = await persistence.new_task(owner, due_date=due_date)
        (job,) = await tell(persistence)
        for moved in (ago(2 * HOUR), ago(-HOUR), None):
            await change(persistence, task, TaskChanges(due_date=moved))
            await tell(persistence)
            await change(persistence, task, TaskChanges(due_date=due_date))
            assert await tell(persistence) == []
        assert await persistence.states(job) == [JobState.PENDING]

    async def test_closed_in_time_and_opened_again_it_is_told_of_once(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        due_date = ago(HOUR)
        task = await persistence.new_task(owner, due_date=due_date)
        await tell(persistence)
        await change(persistence, task, TaskChanges(status=Status.COMPLETED))
        await rearm(persistence, task, due_date)
        told = []
        for status in (
            Status.PENDING,
            Status.CANCELLED,
            Status.IN_PROGRESS,
            Status.COMPLETED,
            Status.PENDING,
        ):
            await change(persistence, task, TaskChanges(status=status))
            told.append(await told_of(persistence))
        assert told == [{task.id}, set(), set(), set(), set()]

    async def test_no_other_change_does(self, persistence: Persistence, owner: UUID) -> None:
        other = await persistence.new_user()
        task = await persistence.new_task(owner, due_date=ago(HOUR))
        await tell(persistence)
        for changes in (
            TaskChanges(title="Another", status=Status.IN_PROGRESS, user_id=other.id),
            TaskChanges(status=Status.COMPLETED),
            TaskChanges(status=Status.PENDING),
        ):
            await change(persistence, task, changes)
            assert await told_of(persistence) == set()

    async def test_what_is_closed_in_time_is_armed_when_it_opens_again(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        task = await persistence.new_task(owner, due_date=ago(HOUR), status=Status.COMPLETED)
        assert await told_of(persistence) == set()
        await change(persistence, task, TaskChanges(status=Status.PENDING))
        assert await told_of(persistence) == {task.id}

    async def test_it_can_be_armed_by_hand(self, persistence: Persistence, owner: UUID) -> None:
        due_date = ago(HOUR).replace(microsecond=123_456)
        task = await persistence.new_task(owner, due_date=due_date)
        other = await persistence.new_task(owner, due_date=due_date)
        await tell(persistence)

        await rearm(persistence, task, due_date, commit=False)
        assert await told_of(persistence) == set()
        await rearm(persistence, task, due_date + timedelta(microseconds=1))
        assert await told_of(persistence) == set()
        await rearm(persistence, task, due_date)
        assert await told_of(persistence) == {task.id}
        assert await told_of(persistence) == set()
        assert other.id != task.id

    async def test_one_that_is_gone_is_no_fault(self, persistence: Persistence) -> None:
        async with persistence.transactions() as unit:
            unit.tasks.rearm(new_id(), ago(HOUR))
            await unit.commit()

    async def test_it_is_armed_in_one_unit_with_the_end_of_its_job(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        task = await persistence.new_task(owner, due_date=ago(HOUR))
        (job,) = await tell(persistence)
        claimed = await persistence.claim(job.id, JobKind.TASK_OVERDUE)
        assert claimed is not None
        async with persistence.transactions() as unit:
            unit.ledger.finish(claimed)
            unit.tasks.rearm(task.id, task.due_date or ago(HOUR))
            await unit.commit()
        assert await persistence.states(job) == [JobState.DONE]
        assert await told_of(persistence) == {task.id}

    async def test_a_rearming_and_a_change_may_share_a_unit(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        task = await persistence.new_task(owner, due_date=ago(HOUR))
        await tell(persistence)
        async with persistence.transactions() as unit:
            loaded = (await unit.tasks.load([task.id]))[task.id]
            entry = loaded.change(
                TaskChanges(title="Another"), entry_id=new_id(), actor=OPERATOR, now=datetime.now(UTC)
            )
            assert entry is not None
            unit.tasks.save(loaded, entry)
            unit.tasks.rearm(task.id, task.due_date or ago(HOUR))
            await unit.commit()
        stored = await persistence.task(task.id)
        assert stored is not None
        assert stored.title == "Another"
        assert await told_of(persistence) == {task.id}


class TestAddedAsTold:
    async def test_what_is_overdue_already_counts_as_told_of_whatever_its_status(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        statuses = (Status.PENDING, Status.IN_PROGRESS, Status.COMPLETED, Status.CANCELLED)
        tasks = [await add_told(persistence, owner, due_date=ago(HOUR), status=each) for each in statuses]
        other = await persistence.new_task(owner, due_date=ago(HOUR))
        assert await told_of(persistence) == {other.id}
        for task in tasks[2:]:
            await change(persistence, task, TaskChanges(status=Status.PENDING))
        assert await told_of(persistence) == set()
        for task in tasks:
            await change(persistence, task, TaskChanges(due_date=ago(2 * HOUR)))
        assert await told_of(persistence) == {task.id for task in tasks}
        for task in tasks:
            await change(persistence, task, TaskChanges(due_date=task.due_date))
        assert await told_of(persistence) == set()

    async def test_what_falls_overdue_later_is_told_of(self, persistence: Persistence, owner: UUID) -> None:
        without = await add_told(persistence, owner)
        task = await add_told(persistence, owner, due_date=ago(-HOUR))
        assert await told_of(persistence) == set()
        await change(persistence, without, TaskChanges(due_date=ago(HOUR)))
        assert await told_of(persistence) == {without.id}
        await persistence.age(HOUR + SECOND)
        assert await told_of(persistence) == {task.id}


class TestRaces:
    async def test_of_due_dates_that_come_and_go_each_is_told_of_once(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        due_dates = [ago(n * HOUR) for n in (1, 2, 3)]
        tasks = [await persistence.new_task(owner, due_date=due_dates[0]) for _ in range(4)]
        told: list[tuple[UUID, str]] = []

        async def come_and_go(task: Task) -> None:
            for due_date in due_dates[1:] + due_dates * 2:
                await change(persistence, task, TaskChanges(due_date=due_date))

        async def scan(number: int = 100) -> None:
            """What the jobs do, too: tell, or arm again where the due date is another by then."""
            for job in await tell(persistence, number):
                assert job.subject is not None
                task = await persistence.task_reads.task(job.subject, owner=None)
                assert task is not None
                if as_text(task.due_date) == job.payload["due_date"]:
                    told.append((task.id, job.payload["due_date"]))
                else:
                    due_date = datetime.fromisoformat(job.payload["due_date"])
                    await rearm(persistence, task, due_date)

        async def scan_often() -> None:
            for _ in range(8):
                await scan(3)

        await asyncio.gather(*(come_and_go(task) for task in tasks), scan_often(), scan_often())
        for due_date in due_dates:
            for task in tasks:
                await change(persistence, task, TaskChanges(due_date=due_date))
            await scan()
        assert len(told) == len(set(told)) == len(tasks) * len(due_dates)

    async def test_arming_that_waited_for_a_change_forgets_no_more_than_its_own(
        self, concurrent_persistence: Persistence, somebody_waits: Callable[[], Awaitable[None]]
    ) -> None:
        persistence = concurrent_persistence
        owner = await persistence.new_user()
        meant, mistaken = ago(2 * HOUR), ago(HOUR)
        task = await persistence.new_task(owner.id, due_date=meant)
        await tell(persistence)
        await change(persistence, task, TaskChanges(due_date=mistaken))
        await tell(persistence)
        async with persistence.transactions() as unit:
            loaded = (await unit.tasks.load([task.id]))[task.id]
            late = asyncio.ensure_future(rearm(persistence, task, mistaken))
            await somebody_waits()
            back = TaskChanges(due_date=meant)
            entry = loaded.change(back, entry_id=new_id(), actor=OPERATOR, now=datetime.now(UTC))
            assert entry is not None
            unit.tasks.save(loaded, entry)
            await unit.commit()
        await late
        assert await told_of(persistence) == set()
        await change(persistence, task, TaskChanges(due_date=mistaken))
        assert await told_of(persistence) == {task.id}

    async def test_schedulers_at_once_tell_of_each_once(self, persistence: Persistence, owner: UUID) -> None:
        tasks = [new_task(owner, due_date=ago(HOUR)) for _ in range(60)]
        await persistence.add_tasks(*tasks)
        rounds = await asyncio.gather(*(tell(persistence, 12) for _ in range(10)))
        told = [job.subject for jobs in rounds for job in jobs]
        while more := await tell(persistence):
            told += [job.subject for job in more]
        assert len(told) == 60
        assert set(told) == {task.id for task in tasks}

    async def test_they_wait_for_nobody(self, concurrent_persistence: Persistence) -> None:
        persistence = concurrent_persistence
        owner = await persistence.new_user()
        held = await persistence.new_task(owner.id, due_date=ago(2 * HOUR))
        free = await persistence.new_task(owner.id, due_date=ago(HOUR))
        async with persistence.transactions() as unit:
            loaded = (await unit.tasks.load([held.id]))[held.id]
            assert await told_of(persistence) == {free.id}
            later = TaskChanges(due_date=ago(-HOUR))
            entry = loaded.change(later, entry_id=new_id(), actor=OPERATOR, now=datetime.now(UTC))
            assert entry is not None
            unit.tasks.save(loaded, entry)
            await unit.commit()
        assert await told_of(persistence) == set()

    async def test_a_change_that_waited_for_the_telling_loses_nothing(
        self, concurrent_persistence: Persistence, somebody_waits: Callable[[], Awaitable[None]]
    ) -> None:
        persistence = concurrent_persistence
        owner = await persistence.new_user()
        task = await persistence.new_task(owner.id, due_date=ago(2 * HOUR))
        async with persistence.transactions() as unit:
            await unit.tasks.tell_overdue([new_id()], max_tries=1)
            late = asyncio.ensure_future(change(persistence, task, TaskChanges(due_date=ago(HOUR))))
            await somebody_waits()
            await unit.commit()
        await late
        assert await told_of(persistence) == {task.id}  # for the new due date

    async def test_a_task_may_be_made_meanwhile(self, persistence: Persistence, owner: UUID) -> None:
        tasks = [new_task(owner, due_date=ago(HOUR)) for _ in range(20)]

        async def add(task: Task) -> None:
            async with persistence.transactions() as unit:
                unit.tasks.add(task, entry_of(task))
                await unit.commit()

        rounds = await asyncio.gather(*(add(task) for task in tasks), *(tell(persistence) for _ in range(5)))
        told = [job.subject for jobs in rounds if jobs for job in jobs]
        told += [job.subject for job in await tell(persistence)]
        assert sorted(map(str, told)) == sorted(str(task.id) for task in tasks)
