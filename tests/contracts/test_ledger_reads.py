"""Questions about background work."""

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, new_id, new_job
from taskflow_core import JobQuery, JobState, JobView, LedgerEntry
from taskflow_core.ledger import KindStats

HOUR = timedelta(hours=1)


async def pages(persistence: Persistence, query: JobQuery) -> list[list[JobView]]:
    found = []
    while True:
        page = await persistence.ledger_reads.jobs(query, NOW)
        found.append(list(page.items))
        if page.next is None:
            return found
        query = replace(query, after=page.next)


async def one_of_each(persistence: Persistence, kind: str) -> dict[JobState, LedgerEntry]:
    done, dead = await persistence.running_job(kind), await persistence.running_job(kind)
    await persistence.finish(done)
    await persistence.kill(dead.id)
    running = await persistence.running_job(kind)
    return {
        JobState.DONE: done,
        JobState.DEAD: dead,
        JobState.RUNNING: running,
        JobState.PENDING: await persistence.new_job(kind),
    }


async def test_a_view_shows_what_is_kept(persistence: Persistence) -> None:
    job = new_job(subject=new_id(), payload={"a": "b"}, max_tries=3, request_id="request-1")
    await persistence.add_jobs(job)
    await persistence.claim()
    stored = await persistence.kill(job.id)
    view = await persistence.ledger_reads.job(job.id)
    assert view == JobView.of(stored)
    assert view is not None
    assert type(view.state) is JobState
    assert (view.attempts, view.max_attempts, view.error, view.request_id) == (1, 3, "It broke.", "request-1")
    page = await persistence.ledger_reads.jobs(JobQuery(), NOW)
    assert page.items == (view,)
    assert await persistence.ledger_reads.job(new_id()) is None


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
async def test_pages_come_newest_first_each_once(persistence: Persistence, limit: int) -> None:
    jobs = [new_job() for _ in range(7)]
    await persistence.add_jobs(*jobs)
    found = await pages(persistence, JobQuery(limit=limit))
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert found[-1]
    assert [job.id for page in found for job in page] == [job.id for job in reversed(jobs)]


async def test_there_may_be_none(persistence: Persistence) -> None:
    assert await pages(persistence, JobQuery()) == [[]]
    assert (await persistence.ledger_reads.stats()).kinds == ()
    assert await persistence.ledger_reads.refunds(new_id()) == 0


async def test_what_is_made_meanwhile_is_not_seen(persistence: Persistence) -> None:
    jobs = [new_job() for _ in range(4)]
    await persistence.add_jobs(*jobs)
    first = await persistence.ledger_reads.jobs(JobQuery(limit=2), NOW)
    await persistence.new_job()
    rest = await persistence.ledger_reads.jobs(JobQuery(limit=2, after=first.next), NOW + HOUR)
    assert [job.id for job in (*first.items, *rest.items)] == [job.id for job in reversed(jobs)]
    assert first.next is not None
    assert (first.next.as_of, first.next.key, rest.next) == (NOW, None, None)


async def test_they_are_found_by_state_and_kind(persistence: Persistence) -> None:
    by_kind = {kind: await one_of_each(persistence, kind) for kind in ("a", "b")}
    for state in JobState:
        (found,) = await pages(persistence, JobQuery(state=state))
        assert [job.id for job in found] == [by_kind["b"][state].id, by_kind["a"][state].id]
        assert {job.state for job in found} == {state}
        (found,) = await pages(persistence, JobQuery(state=state, kind="a"))
        assert [job.id for job in found] == [by_kind["a"][state].id]
        found_in_steps = await pages(persistence, JobQuery(state=state, limit=1))
        assert [len(page) for page in found_in_steps] == [1, 1]
    (found,) = await pages(persistence, JobQuery(kind="b"))
    assert {job.id for job in found} == {job.id for job in by_kind["b"].values()}
    steps = await pages(persistence, JobQuery(kind="b", limit=3))
    assert [len(page) for page in steps] == [3, 1]
    for nothing in (JobQuery(kind="c"), JobQuery(kind="c", state=JobState.DEAD)):
        assert await pages(persistence, nothing) == [[]]


async def test_what_is_not_done_is_counted_by_kind(persistence: Persistence) -> None:
    await one_of_each(persistence, "b")
    done = await persistence.running_job("done")
    await persistence.finish(done)
    oldest = await persistence.new_job("a", run_at=NOW - 2 * HOUR)
    await persistence.new_job("a", run_at=NOW - HOUR)
    for _ in range(3):
        await persistence.new_job("a", run_at=NOW + HOUR)
    scheduled = await persistence.new_job("c", run_at=NOW + HOUR)
    stored = await persistence.job(oldest.id)
    assert stored is not None
    stats = await persistence.ledger_reads.stats()
    due_b = stats.kinds[1].oldest_due_at
    assert stats.kinds == (
        KindStats("a", due=2, scheduled=3, running=0, dead=0, oldest_due_at=stored.run_at),
        KindStats("b", due=1, scheduled=0, running=1, dead=1, oldest_due_at=due_b),
        KindStats("c", due=0, scheduled=1, running=0, dead=0, oldest_due_at=None),
    )
    assert due_b is not None
    await persistence.age(2 * HOUR)
    stats = await persistence.ledger_reads.stats()
    assert (stats.kinds[2].due, stats.kinds[2].scheduled) == (1, 0)
    aged = await persistence.job(scheduled.id)
    assert aged is not None
    assert stats.kinds[2].oldest_due_at == aged.run_at


async def test_it_tells_when_each_scan_is_due(persistence: Persistence) -> None:
    async with persistence.transactions() as unit:
        for name, delay in (("overdue", HOUR), ("reconcile", 2 * HOUR), ("clean_up", 3 * HOUR)):
            unit.scans.put_off(name, delay)
        await unit.commit()
    scans = (await persistence.ledger_reads.stats()).scans
    assert [scan.name for scan in scans] == ["clean_up", "overdue", "reconcile"]
    # One transaction is one time to PostgreSQL, nearly: it reads the clock for each.
    apart = [(scan.due_at - scans[1].due_at).total_seconds() for scan in scans]
    assert apart == pytest.approx([7200, 0, 3600], abs=30)


async def test_refunds_are_counted_by_job(persistence: Persistence) -> None:
    jobs = [await persistence.new_job() for _ in range(3)]
    async with persistence.transactions() as unit:
        unit.samples.refund(jobs[0].id)
        unit.samples.refund(jobs[1].id)
        unit.samples.refund(jobs[1].id)
        await unit.commit()
    async with persistence.transactions() as unit:
        unit.samples.refund(jobs[1].id)
        await unit.commit()
    assert [await persistence.ledger_reads.refunds(job.id) for job in jobs] == [1, 3, 0]
