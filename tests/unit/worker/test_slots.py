"""What a worker does in its loop, with jobs that need no store."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog

from support.work import NOW, DueJobs, an_entry, until
from taskflow_core import Unavailable
from taskflow_core.use_cases.ledger.run import Outcome, Ran
from taskflow_worker.slots import Slots
from taskflow_worker.tries import tell

NEVER = 1000.0


@asynccontextmanager
async def working(jobs: DueJobs, concurrency: int = 4, poll: float = NEVER) -> AsyncIterator[Slots]:
    """A worker that has looked once, as it does when it starts, and rests, unless it found something."""
    slots = Slots(jobs, concurrency, poll)
    slots.start()
    await until(lambda: slots._idle == concurrency or jobs.running > 0 or slots._failures > 0)
    yield slots
    await slots.stop(1.0)


async def hinted(slots: Slots, hint: UUID) -> None:
    await asyncio.to_thread(slots.take, hint)


async def test_a_hint_has_its_job_done_and_all_others_that_are_due() -> None:
    jobs = DueJobs()
    async with working(jobs) as slots:
        jobs.due = [uuid4() for _ in range(20)]
        last = jobs.due[-1]
        await hinted(slots, last)
        await until(lambda: len(jobs.done) == 20)
        assert jobs.done[0] == last


async def test_a_hint_at_nothing_asks_once() -> None:
    jobs = DueJobs()
    async with working(jobs) as slots:
        before = len(jobs.asked)
        nothing = uuid4()
        await hinted(slots, nothing)
        await asyncio.sleep(0.05)
        assert jobs.asked[before:] == [nothing]


async def test_one_job_costs_one_look_for_more() -> None:
    jobs = DueJobs()
    async with working(jobs) as slots:
        before = len(jobs.asked)
        jobs.due = [uuid4()]
        only = jobs.due[0]
        await hinted(slots, only)
        await until(lambda: len(jobs.asked) >= before + 2)
        await asyncio.sleep(0.05)
        assert jobs.asked[before:] == [only, None]


async def test_it_does_as_many_at_a_time_as_it_may_and_no_more() -> None:
    jobs = DueJobs(seconds=0.03)
    async with working(jobs, concurrency=3) as slots:
        jobs.due = [uuid4() for _ in range(30)]
        await hinted(slots, uuid4())
        await until(lambda: len(jobs.done) == 30)
    assert jobs.most == 3


async def test_without_hints_it_looks_by_the_clock() -> None:
    jobs = DueJobs()
    async with working(jobs, poll=0.05):
        jobs.due = [uuid4()]
        await until(lambda: not jobs.due)
        asked, began = len(jobs.asked), time.monotonic()
        await until(lambda: len(jobs.asked) - asked >= 10)
        # One each time, a quarter more often at most; who did the job looks once more, and so does another.
        assert len(jobs.asked) - asked <= (time.monotonic() - began) / (0.75 * 0.05) + 3


async def test_what_is_due_at_the_start_is_done_at_once() -> None:
    jobs = DueJobs([uuid4() for _ in range(50)])
    async with working(jobs):
        await until(lambda: len(jobs.done) == 50)


async def test_a_hint_waits_in_the_queue_until_somebody_has_time() -> None:
    jobs = DueJobs([uuid4(), uuid4()])
    jobs.go.clear()
    async with working(jobs, concurrency=1) as slots:
        waiting = asyncio.create_task(hinted(slots, uuid4()))
        await until(lambda: len(slots._hints) == 1)
        await asyncio.sleep(0.05)
        assert not waiting.done()
        jobs.go.set()
        await waiting


async def test_without_a_store_it_rests_and_says_so_once() -> None:
    away = Unavailable("PostgreSQL cannot be reached now.")
    away.__cause__ = ConnectionError('role "me" does not exist\nand more')
    jobs = DueJobs(error=away)
    with structlog.testing.capture_logs() as lines:
        async with working(jobs, poll=0.02):
            await asyncio.sleep(0.6)
            assert len(jobs.asked) < 20
            jobs.error = None
            jobs.due = [uuid4()]
            await until(lambda: len(jobs.done) == 1)
    assert lines[0]["reason"] == 'ConnectionError: role "me" does not exist'
    told = [(line["event"], line["log_level"]) for line in lines]
    assert told == [
        ("no work, the store is away", "warning"),
        ("work goes on", "info"),
        ("job done", "info"),
    ]
    assert lines[0]["error"] == "PostgreSQL cannot be reached now."


@pytest.mark.parametrize("failures", [0, 1, 5, 5000])
async def test_a_rest_is_short(failures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float | None] = []
    timeout = asyncio.timeout

    def noting(seconds: float | None) -> Any:
        rests.append(seconds)
        return timeout(0)

    monkeypatch.setattr("taskflow_worker.slots.asyncio.timeout", noting)
    slots = Slots(DueJobs(), 1)
    slots._failures = failures
    await slots._pause()
    (rest,) = rests
    assert rest is not None
    assert 0 < rest <= min(2.0, 0.1 * 2 ** min(failures, 10))


async def test_what_nobody_foresaw_stops_nothing() -> None:
    jobs = DueJobs(error=ZeroDivisionError("seen"))
    with structlog.testing.capture_logs() as lines:
        async with working(jobs, concurrency=1, poll=0.02):
            jobs.error = None
            jobs.due = [uuid4()]
            await until(lambda: len(jobs.done) == 1)
    assert lines[0]["event"] == "a try failed outside of its job"
    assert lines[0]["exc_info"]


async def test_stopping_lets_jobs_end_and_claims_nothing_more() -> None:
    jobs = DueJobs([uuid4() for _ in range(10)])
    jobs.go.clear()
    async with working(jobs, concurrency=2) as slots:
        await until(lambda: jobs.running == 2)
        asked = len(jobs.asked)
        began = time.monotonic()
        stopping = asyncio.create_task(slots.stop(60))
        await until(slots._stopping.is_set)
        assert jobs.running == 2
        jobs.go.set()
        await stopping
        assert time.monotonic() - began < 30
        assert (len(jobs.done), jobs.given_back, len(jobs.asked)) == (2, [], asked)


async def test_stopping_gives_back_what_takes_too_long() -> None:
    jobs = DueJobs([uuid4()])
    jobs.go.clear()
    async with working(jobs) as slots:
        await until(lambda: jobs.running == 1)
        began = time.monotonic()
        with structlog.testing.capture_logs() as lines:
            await slots.stop(1.0)
        assert time.monotonic() - began > 0.99
        assert (jobs.done, len(jobs.given_back)) == ([], 1)
    (told,) = [line for line in lines if line["event"] == "job given back"]
    assert told["job_id"] == str(jobs.given_back[0])
    assert (told["kind"], told["tries"], told["request_id"]) == ("test.kind", 3, "request-1")


@pytest.mark.parametrize(("concurrency", "size"), [(1, 1), (2, 1), (4, 3)])
async def test_one_slot_of_several_is_kept_from_jobs_that_share_something(
    concurrency: int, size: int
) -> None:
    sizes: list[int | None] = []

    async def run_job(hint: UUID | None = None, **given: Any) -> Ran | None:
        sizes.append(given["bulkhead_size"])
        return None if hint is None else Ran(an_entry(hint), Outcome.DONE)

    slots = Slots(run_job, concurrency, NEVER)
    slots.start()
    await until(lambda: len(sizes) == concurrency)
    await slots.stop(1.0)
    assert set(sizes) == {size}


async def test_a_job_that_is_stuck_is_told_of_once_and_stopping_does_not_wait_for_it() -> None:
    job, let_go = an_entry(), asyncio.Event()

    async def run_job(hint: UUID | None = None, **given: Any) -> Ran | None:
        assert hint is None
        given["tell"](Ran(job, Outcome.STUCK))
        while not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()
        return Ran(job, Outcome.LOST)

    slots = Slots(run_job, 1, NEVER)
    with structlog.testing.capture_logs() as lines:
        slots.start()
        async with asyncio.timeout(60):
            await slots.stuck()
            await slots.stop(600)
        assert slots._tasks[0].done() is False
    (stuck,) = [line for line in lines if line["log_level"] == "critical"]
    assert (stuck["job_id"], stuck["kind"]) == (str(job.id), "test.kind")
    let_go.set()
    await asyncio.wait(slots._tasks)


async def test_stopping_while_it_rests_takes_no_time() -> None:
    async with working(DueJobs(error=Unavailable())) as slots:
        began = time.monotonic()
        await slots.stop(60)
        assert time.monotonic() - began < 30


async def test_hints_are_dropped_once_it_stops() -> None:
    jobs = DueJobs([uuid4()])
    jobs.go.clear()
    async with working(jobs, concurrency=1) as slots:
        await until(lambda: jobs.running == 1)
        waiting = threading.Thread(target=slots.take, args=[uuid4()])
        waiting.start()
        await until(lambda: len(slots._hints) == 1)
        assert waiting.is_alive()
        stopping = asyncio.create_task(slots.stop(60))
        await asyncio.to_thread(waiting.join, 60)
        assert not waiting.is_alive()
        await hinted(slots, uuid4())
        jobs.go.set()
        await stopping
        assert set(jobs.asked) == {None}


def test_a_hint_after_the_loop_has_ended_is_dropped() -> None:
    async def start_and_end() -> Slots:
        async with working(DueJobs()) as slots:
            return slots

    asyncio.run(start_and_end()).take(uuid4())


def test_each_end_of_a_try_is_told_with_the_request_that_caused_the_job() -> None:
    job = an_entry()
    later = replace(job, run_at=NOW + timedelta(minutes=1))
    with structlog.testing.capture_logs() as lines:
        tell(Ran(job, Outcome.DONE), 0.0123)
        tell(Ran(job, Outcome.FAILED, "no answer", later), 1)
        tell(Ran(job, Outcome.DIED, "refused", later), 1)
        tell(Ran(job, Outcome.LOST), 1)
        tell(Ran(job, Outcome.GIVEN_BACK))
        tell(Ran(job, Outcome.STUCK))
        tell(Ran(job, Outcome.DONE, note="the task is gone"), 1)
    common = {
        "job_id": str(job.id),
        "kind": "test.kind",
        "subject": str(job.subject),
        "tries": 3,
        "request_id": "request-1",
    }
    assert all(common.items() <= line.items() for line in lines)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("job done", "info"),
        ("job failed", "warning"),
        ("job died", "error"),
        ("job lost", "warning"),
        ("job given back", "warning"),
        ("job stuck: it goes on although it was cancelled", "critical"),
        ("job done", "info"),
    ]
    assert lines[0]["duration_ms"] == 12.3
    assert (lines[1]["error"], lines[1]["retry_at"]) == ("no answer", "2026-03-04T05:07:07+00:00")
    assert lines[2]["error"] == "refused"
    assert [line.get("note") for line in lines] == [*[None] * 6, "the task is gone"]
    assert "note" not in lines[0]


async def test_a_try_that_somebody_else_cut_off_ends_no_slot() -> None:
    jobs, cut = DueJobs(), asyncio.CancelledError()

    async def run_job(hint: UUID | None = None, **given: Any) -> Ran | None:
        if jobs.due and jobs.due[0] == lost:
            jobs.due.pop(0)
            raise cut
        return await jobs(hint, **given)

    lost, others = uuid4(), [uuid4() for _ in range(3)]
    slots = Slots(run_job, 1, 0.05)
    jobs.due = [lost, *others]
    with structlog.testing.capture_logs() as lines:
        slots.start()
        await until(lambda: len(jobs.done) == 3)
        await slots.stop(1.0)
    assert "a try was cut off by somebody else" in [line["event"] for line in lines]


async def test_it_is_told_where_a_slot_ended_by_itself() -> None:
    class Fault(BaseException):
        pass

    async def run_job(hint: UUID | None = None, **_: Any) -> Ran | None:
        raise Fault(hint)

    slots = Slots(run_job, 1, NEVER)
    with structlog.testing.capture_logs() as lines:
        slots.start()
        async with asyncio.timeout(60):
            await slots.ended()
        await slots.stop(0.1)
    assert [line["event"] for line in lines] == ["a slot ended by itself"]
