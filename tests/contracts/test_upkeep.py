"""What is removed for good: all that nobody needs any more, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.persistence import Persistence
from support.samples import entry_of, new_event, new_id, new_job, new_session, new_task
from taskflow_core import End, JobKind, JobState, LedgerEntry, Once, TaskQuery
from taskflow_core.idempotency import KEPT_FOR
from taskflow_core.security_events import FORMER_EMAIL
from taskflow_core.throttle import FORGOTTEN_AFTER

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def ago(by: timedelta) -> datetime:
    """By the store's clock."""
    return datetime.now(UTC) - by


async def sessions_exist(persistence: Persistence, *ids: UUID) -> list[bool]:
    return [await persistence.session(id) is not None for id in ids]


async def open_session(persistence: Persistence, user: UUID, age: timedelta, **given: object) -> UUID:
    at = ago(age)
    session = new_session(user, **{"created_at": at, "last_used_at": at} | given)
    async with persistence.transactions() as unit:
        unit.sessions.open(session, password_version=1)
        await unit.commit()
    return session.id


class TestSessions:
    async def test_those_that_began_180_days_ago_go(self, persistence: Persistence) -> None:
        user = (await persistence.new_user()).id
        old = [
            await open_session(persistence, user, 180 * DAY + MINUTE),
            await open_session(persistence, user, 400 * DAY, ended_at=ago(399 * DAY), end=End.LOGGED_OUT),
        ]
        kept = [
            await open_session(persistence, user, 180 * DAY - MINUTE),
            await open_session(persistence, user, DAY),
            await open_session(persistence, user, DAY, ended_at=ago(MINUTE), end=End.LOGGED_OUT),
        ]
        assert await persistence.remove(JobKind.CLEAN_SESSIONS) == 2
        assert await sessions_exist(persistence, *old, *kept) == [False] * 2 + [True] * 3
        assert await persistence.remove(JobKind.CLEAN_SESSIONS) == 0


class TestKeys:
    async def test_those_whose_answer_is_kept_no_longer_go(self, persistence: Persistence) -> None:
        user = (await persistence.new_user()).id

        async def use(key: str) -> None:
            async with persistence.transactions(Once(user, key, b"print", lambda _: b"answer")) as unit:
                await unit.commit()

        await use("old")
        await persistence.age(2 * MINUTE)
        await use("young")
        await persistence.age(KEPT_FOR - MINUTE)
        assert await persistence.remove(JobKind.CLEAN_KEYS) == 1
        assert await persistence.remove(JobKind.CLEAN_KEYS) == 0
        await persistence.age(2 * MINUTE)
        assert await persistence.remove(JobKind.CLEAN_KEYS) == 1


class TestLedger:
    async def test_what_was_done_a_week_ago_goes(self, persistence: Persistence) -> None:
        old = await persistence.running_job()
        async with persistence.transactions() as unit:
            unit.ledger.finish(old)
            unit.samples.refund(old.id)
            await unit.commit()
        dead = await persistence.running_job()
        await persistence.kill(dead.id)
        waiting, running = await persistence.new_job("waits"), await persistence.running_job()
        await persistence.age(2 * MINUTE)
        young = await persistence.running_job()
        await persistence.finish(young)
        await persistence.age(7 * DAY - MINUTE)
        assert await persistence.remove(JobKind.CLEAN_LEDGER) == 1
        assert await persistence.job(old.id) is None
        assert await persistence.ledger_reads.refunds(old.id) == 0
        states = await persistence.states(dead, waiting, running, young)
        assert states == [JobState.DEAD, JobState.PENDING, JobState.RUNNING, JobState.DONE]
        assert await persistence.remove(JobKind.CLEAN_LEDGER) == 0
        await persistence.age(2 * MINUTE)
        assert await persistence.remove(JobKind.CLEAN_LEDGER) == 1
        assert await persistence.job(young.id) is None

    async def test_of_what_is_dead_notices_about_tasks_go_after_30_days(
        self, persistence: Persistence
    ) -> None:
        kinds = [JobKind.TASK_OVERDUE, JobKind.TASK_ASSIGNED, JobKind.SECURITY_EVENT, JobKind.SAMPLE_REFUND]
        dead = [await persistence.running_job(kind) for kind in kinds]
        for job in dead:
            await persistence.kill(job.id)
        await persistence.age(30 * DAY - MINUTE)
        assert await persistence.remove(JobKind.CLEAN_LEDGER) == 0
        await persistence.age(2 * MINUTE)
        done = await persistence.running_job()
        await persistence.finish(done)
        await persistence.age(8 * DAY)
        assert [await persistence.remove(JobKind.CLEAN_LEDGER, 2) for _ in range(3)] == [2, 1, 0]
        kept = [await persistence.job(job.id) for job in dead]
        assert [job.kind if job else None for job in kept] == [None, None, *kinds[2:]]
        assert await persistence.job(done.id) is None


class TestTasks:
    async def test_those_deleted_31_days_ago_go(self, persistence: Persistence) -> None:
        owner = (await persistence.new_user()).id
        bystander = (await persistence.new_user()).id
        old = await persistence.new_task(owner, deleted_at=ago(31 * DAY + MINUTE))
        kept = [
            await persistence.new_task(owner, deleted_at=ago(31 * DAY - MINUTE)),
            await persistence.new_task(owner, created_at=ago(400 * DAY)),
            await persistence.new_task(bystander),
        ]
        versions = [await persistence.data_version(id) for id in (owner, bystander)]
        assert await persistence.remove(JobKind.CLEAN_TASKS) == 1
        assert await persistence.task(old.id) is None
        assert [await persistence.task(task.id) for task in kept] == kept
        assert len(await persistence.history(kept[1].id)) == 1
        page = await persistence.task_reads.tasks(TaskQuery(owner=owner, deleted=True), ago(timedelta()))
        assert [task.id for task in page.items] == [kept[0].id]
        # What the owner sees has changed.
        moved = [await persistence.data_version(id) for id in (owner, bystander)]
        assert moved == [versions[0] + 1, versions[1]]
        assert await persistence.remove(JobKind.CLEAN_TASKS) == 0

    async def test_one_that_was_told_of_can_go(self, persistence: Persistence) -> None:
        owner = (await persistence.new_user()).id
        task = await persistence.new_task(owner, due_date=ago(DAY))
        async with persistence.transactions() as unit:
            assert len(await unit.tasks.tell_overdue([new_id()], max_tries=1)) == 1
            await unit.commit()
        async with persistence.transactions() as unit:
            loaded = (await unit.tasks.load([task.id]))[task.id]
            loaded.deleted_at, loaded.version = ago(32 * DAY), 2
            unit.tasks.save(loaded, entry_of(loaded))
            await unit.commit()
        assert await persistence.remove(JobKind.CLEAN_TASKS) == 1
        assert await persistence.task(task.id) is None


class TestUsers:
    async def test_all_that_was_theirs_goes_along(self, persistence: Persistence) -> None:
        gone, stays = await persistence.new_user(), await persistence.new_user()
        jobs = []
        for user in (gone, stays):
            await persistence.new_task(user.id)
            await persistence.open_session(user.id)
            await persistence.add_events(new_event(user.id))
            jobs.append(await persistence.new_job(subject=user.id))
            async with persistence.transactions(Once(user.id, "key", b"print", lambda _: b"answer")) as unit:
                await unit.commit()
        await persistence.mark_deleted(gone.id)
        assert await persistence.purge_all() == 1 + 1
        assert [event.user_id for event in await persistence.events()] == [stays.id]
        assert (await persistence.task_reads.stats(None, ago(timedelta()))).total == 1
        assert await persistence.states(*jobs) == [JobState.PENDING] * 2
        await persistence.age(KEPT_FOR + MINUTE)
        assert await persistence.remove(JobKind.CLEAN_KEYS) == 1  # the other's

    async def test_so_do_the_addresses_that_were_theirs(self, persistence: Persistence) -> None:
        gone, stays = await persistence.new_user(), await persistence.new_user()
        jobs = {user.id: await jobs_of_former_emails(persistence, user.id) for user in (gone, stays)}
        await persistence.mark_deleted(gone.id)
        assert [await persistence.purge(3) for _ in range(3)] == [3, 2, 0]
        assert [await persistence.job(job.id) for job in jobs[gone.id]] == [None] * 4
        assert await persistence.states(*jobs[stays.id]) == [
            JobState.PENDING, JobState.RUNNING, JobState.DONE, JobState.DEAD,
        ]  # fmt: skip

    async def test_who_removes_them_waits_for_no_job_and_leaves_no_address_behind(
        self, concurrent_persistence: Persistence
    ) -> None:
        persistence = concurrent_persistence
        user = await persistence.new_user()
        job, *others = await jobs_of_former_emails(persistence, user.id)
        await persistence.mark_deleted(user.id)
        async with persistence.transactions() as unit:
            await unit.ledger.load(job.id)
            assert await persistence.purge_all() == 3
            assert [await persistence.job(other.id) for other in others] == [None] * 3
        assert await persistence.purge_all() == 1 + 1
        assert await persistence.job(job.id) is None


async def jobs_of_former_emails(persistence: Persistence, user: UUID) -> list[LedgerEntry]:
    """One in each state: pending, running, done and dead."""
    payload = {FORMER_EMAIL: "old@example.com"}
    dead, done, running = [
        await persistence.running_job(subject=user, payload=payload, lease=DAY) for _ in range(3)
    ]
    await persistence.kill(dead.id)
    await persistence.finish(done)
    return [await persistence.new_job(subject=user, payload=payload), running, done, dead]


class TestAttempts:
    async def test_those_that_are_forgotten_anyway_go(self, persistence: Persistence) -> None:
        await persistence.attempts.begin("old")
        await persistence.age(2 * MINUTE)
        await persistence.attempts.begin("young")
        await persistence.age(FORGOTTEN_AFTER - MINUTE)
        assert await persistence.remove(JobKind.CLEAN_ATTEMPTS) == 1
        assert await persistence.remove(JobKind.CLEAN_ATTEMPTS) == 0
        assert (await persistence.attempts.begin("young")).number == 2
        assert (await persistence.attempts.begin("old")).number == 1


async def old_sessions(persistence: Persistence, number: int) -> None:
    user = (await persistence.new_user()).id
    for _ in range(number):
        await open_session(persistence, user, 200 * DAY)


async def old_keys(persistence: Persistence, number: int) -> None:
    user = (await persistence.new_user()).id
    for n in range(number):
        async with persistence.transactions(Once(user, f"{n}", b"print", lambda _: b"answer")) as unit:
            await unit.commit()
    await persistence.age(2 * KEPT_FOR)


async def old_jobs(persistence: Persistence, number: int) -> None:
    await persistence.add_jobs(*(new_job() for _ in range(number)))
    while job := await persistence.claim():
        await persistence.finish(job)
    await persistence.age(8 * DAY)


async def old_tasks(persistence: Persistence, number: int) -> None:
    owners = [(await persistence.new_user()).id for _ in range(2)]
    old = [new_task(owners[n % 2], deleted_at=ago(40 * DAY)) for n in range(number)]
    await persistence.add_tasks(*old)


async def old_attempts(persistence: Persistence, number: int) -> None:
    for n in range(number):
        await persistence.attempts.begin(f"{n}")
    await persistence.age(2 * FORGOTTEN_AFTER)


OLD: dict[JobKind, Callable[[Persistence, int], Awaitable[None]]] = {
    JobKind.CLEAN_SESSIONS: old_sessions,
    JobKind.CLEAN_KEYS: old_keys,
    JobKind.CLEAN_LEDGER: old_jobs,
    JobKind.CLEAN_TASKS: old_tasks,
    JobKind.CLEAN_ATTEMPTS: old_attempts,
}


@pytest.mark.parametrize("kind", OLD)
class TestSteps:
    async def test_it_goes_in_steps_and_only_by_a_commit(
        self, persistence: Persistence, kind: JobKind
    ) -> None:
        await OLD[kind](persistence, 7)
        async with persistence.transactions() as unit:
            assert await unit.upkeep.remove(kind, limit=100) == 7
        async with persistence.transactions() as unit:
            assert await unit.upkeep.remove(kind, limit=2) == 2
            assert await unit.upkeep.remove(kind, limit=1) == 1
            await unit.commit()
        assert [await persistence.remove(kind, 3) for _ in range(3)] == [3, 1, 0]

    async def test_many_at_once_remove_each_row_once(self, persistence: Persistence, kind: JobKind) -> None:
        await OLD[kind](persistence, 12)
        removed = 0
        while step := sum(await asyncio.gather(*(persistence.remove(kind, 3) for _ in range(4)))):
            removed += step
        assert removed == 12

    async def test_no_kind_removes_anothers(self, persistence: Persistence, kind: JobKind) -> None:
        await OLD[kind](persistence, 1)
        for other in {*OLD, JobKind.CLEAN_USERS} - {kind}:
            assert await persistence.remove(other) == 0, other
        assert await persistence.remove(kind) == 1


@pytest.mark.parametrize("kind", [JobKind.TASK_OVERDUE, JobKind.SAMPLE_REFUND])
async def test_what_cleans_nothing_up_is_refused(persistence: Persistence, kind: JobKind) -> None:
    async with persistence.transactions() as unit:
        with pytest.raises(ValueError, match="cleans nothing up"):
            await unit.upkeep.remove(kind, limit=1)


async def test_it_waits_for_nobody(concurrent_persistence: Persistence) -> None:
    persistence = concurrent_persistence
    await old_tasks(persistence, 4)
    page = await persistence.task_reads.tasks(TaskQuery(owner=None, deleted=True), ago(timedelta()))
    held = page.items[0]
    async with persistence.transactions() as unit:
        await unit.tasks.load([held.id])  # its owner is locked too
        assert await persistence.remove(JobKind.CLEAN_TASKS) == 2
    assert await persistence.remove(JobKind.CLEAN_TASKS) == 2
