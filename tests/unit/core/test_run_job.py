"""A worker's step: claim, do, and commit what came of it with the end of the job."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from support.samples import NOW, World, new_id
from taskflow_core import (
    Effect,
    JobState,
    LedgerEntry,
    NotFound,
    Outcome,
    Ran,
    RunJob,
    Unavailable,
    Undeliverable,
)
from taskflow_core.ledger import LEASE
from taskflow_core.ports.persistence import Transaction
from taskflow_memory import MemoryClaims


@dataclass
class Doing:
    """A handler of kind "kind" that does what the test says."""

    world: World
    does: Callable[[LedgerEntry], Awaitable[Effect | None]] | None = None
    raises: BaseException | None = None
    seen: list[LedgerEntry] = field(default_factory=list)

    async def __call__(self, job: LedgerEntry) -> Effect | None:
        self.seen.append(job)
        if self.raises is not None:
            raise self.raises
        return await self.does(job) if self.does else None


def runner(world: World, doing: Doing, **given: Any) -> RunJob:
    ports = {"chance": lambda: 0.5} | given
    return RunJob(MemoryClaims(world.store), world.transactions, {"kind": doing}, **ports)


def refund_of(job: LedgerEntry) -> Effect:
    async def refund(transaction: Transaction) -> None:
        transaction.samples.refund(job.id)

    return refund


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def doing(world: World) -> Doing:
    return Doing(world)


class TestDone:
    async def test_it_is_done_and_so_is_its_effect(self, world: World, doing: Doing) -> None:
        job = world.add_job()

        async def refund(job: LedgerEntry) -> Effect:
            return refund_of(job)

        doing.does = refund
        ran = await runner(world, doing)()
        stored = world.store.ledger[job.id]
        assert (stored.state, stored.finished_at, stored.tries, stored.fence) == (JobState.DONE, NOW, 1, 1)
        assert world.store.refunds == {job.id: 1}
        (claimed,) = doing.seen
        assert ran == Ran(claimed, Outcome.DONE)
        assert (claimed.id, claimed.state, claimed.lease_until) == (job.id, JobState.RUNNING, NOW + LEASE)

    async def test_there_need_be_no_effect(self, world: World, doing: Doing) -> None:
        job = world.add_job()
        ran = await runner(world, doing)(job.id)
        assert ran is not None
        assert (ran.outcome, ran.error, ran.after) == (Outcome.DONE, None, None)

    async def test_what_is_hinted_at_goes_first(self, world: World, doing: Doing) -> None:
        world.add_job()
        hinted = world.add_job()
        await runner(world, doing)(hinted.id)
        assert [job.id for job in doing.seen] == [hinted.id]

    async def test_where_nothing_is_due_nothing_is_done(self, world: World, doing: Doing) -> None:
        world.add_job(run_at=NOW + timedelta(seconds=1))
        world.add_job("of-another-worker")
        assert await runner(world, doing)(new_id()) is None
        assert doing.seen == []

    async def test_no_transaction_is_open_while_the_handler_works(self, world: World, doing: Doing) -> None:
        world.add_job()

        async def look(_: LedgerEntry) -> None:
            assert not world.store.lock.locked()

        doing.does = look
        ran = await runner(world, doing)()
        assert ran is not None
        assert ran.outcome is Outcome.DONE


class TestFailed:
    async def test_it_is_tried_again_after_a_while(self, world: World, doing: Doing) -> None:
        job = world.add_job()
        doing.raises = LookupError("no such thing")
        ran = await runner(world, doing)()
        stored = world.store.ledger[job.id]
        assert (stored.state, stored.tries) == (JobState.PENDING, 1)
        assert stored.run_at == NOW + timedelta(seconds=0.5)
        assert stored.error == "LookupError: no such thing"
        assert ran == Ran(doing.seen[0], Outcome.FAILED, stored.error, stored)

    async def test_of_our_own_errors_the_detail_is_kept(self, world: World, doing: Doing) -> None:
        job = world.add_job()
        doing.raises = NotFound("No such task.")
        await runner(world, doing)()
        assert world.store.ledger[job.id].error == "No such task."

    async def test_an_effect_that_fails_leaves_nothing_behind(self, world: World, doing: Doing) -> None:
        job = world.add_job()

        async def refund_and_fail(job: LedgerEntry) -> Effect:
            async def effect(transaction: Transaction) -> None:
                await refund_of(job)(transaction)
                raise LookupError("after the refund")

            return effect

        doing.does = refund_and_fail
        ran = await runner(world, doing)()
        assert ran is not None
        assert (ran.outcome, ran.error) == (Outcome.FAILED, "LookupError: after the refund")
        assert world.store.refunds == {}
        assert world.store.ledger[job.id].state is JobState.PENDING

    async def test_it_dies_with_its_last_try(self, world: World, doing: Doing) -> None:
        job = world.add_job(max_tries=1)
        doing.raises = Unavailable()
        ran = await runner(world, doing)()
        assert ran is not None
        assert (ran.outcome, ran.after) == (Outcome.DIED, world.store.ledger[job.id])
        assert world.store.ledger[job.id].state is JobState.DEAD

    async def test_what_was_refused_for_good_dies_at_once(self, world: World, doing: Doing) -> None:
        job = world.add_job(max_tries=9)
        doing.raises = Undeliverable("No such mailbox.")
        ran = await runner(world, doing)()
        assert ran is not None
        assert (ran.outcome, ran.error) == (Outcome.DIED, "No such mailbox.")
        assert (world.store.ledger[job.id].state, world.store.ledger[job.id].tries) == (JobState.DEAD, 1)

    def test_a_kind_that_nobody_could_claim_is_refused(self, world: World, doing: Doing) -> None:
        with pytest.raises(ValueError, match="not the name of a kind"):
            RunJob(MemoryClaims(world.store), world.transactions, {'"': doing}, lambda: 0.5)

    async def test_what_is_cancelled_inside_a_handler_is_a_try_that_failed(
        self, world: World, doing: Doing
    ) -> None:
        job = world.add_job(max_tries=9)

        async def wait_for_the_lost(_: LedgerEntry) -> None:
            lost = asyncio.get_running_loop().create_future()
            lost.cancel()
            await lost

        doing.does = wait_for_the_lost
        ran = await runner(world, doing)()
        assert ran is not None
        assert (ran.outcome, ran.error) == (Outcome.FAILED, "What it waited for was cancelled.")
        assert world.store.ledger[job.id].tries == 1

    async def test_a_handlers_own_time_out_is_told_as_its_own(self, world: World, doing: Doing) -> None:
        world.add_job()
        doing.raises = TimeoutError("the bank")
        ran = await runner(world, doing)()
        assert ran is not None
        assert ran.error == "TimeoutError: the bank"

    async def test_a_handler_that_takes_too_long_is_stopped(self, world: World, doing: Doing) -> None:
        job = world.add_job()

        async def hang(_: LedgerEntry) -> None:
            await asyncio.Event().wait()

        doing.does = hang
        ran = await runner(world, doing, time_limit=timedelta(milliseconds=20))()
        assert ran is not None
        assert (ran.outcome, ran.error) == (Outcome.FAILED, "It took longer than 0.02 s.")
        assert world.store.ledger[job.id].error == ran.error

    async def test_so_is_an_effect(self, world: World, doing: Doing) -> None:
        job = world.add_job()

        async def hang_inside(job: LedgerEntry) -> Effect:
            async def effect(transaction: Transaction) -> None:
                await refund_of(job)(transaction)
                await asyncio.Event().wait()

            return effect

        doing.does = hang_inside
        ran = await runner(world, doing, time_limit=timedelta(milliseconds=20))()
        assert ran is not None
        assert ran.outcome is Outcome.FAILED
        assert world.store.refunds == {}
        assert world.store.ledger[job.id].state is JobState.PENDING


class TestLost:
    """The claim did not hold until the end, or nobody knows."""

    async def lose(self, world: World, job: LedgerEntry) -> None:
        """What happens while a worker is paused past its lease: it expires, and another claims it."""
        held = world.store.ledger[job.id]
        held.expire(NOW, 0)
        held.claim(NOW)

    async def test_a_claim_that_was_lost_does_nothing(self, world: World, doing: Doing) -> None:
        job = world.add_job()

        async def be_late(job: LedgerEntry) -> Effect:
            await self.lose(world, job)
            return refund_of(job)

        doing.does = be_late
        ran = await runner(world, doing)()
        assert ran == Ran(doing.seen[0], Outcome.LOST)
        assert world.store.refunds == {}
        stored = world.store.ledger[job.id]
        assert (stored.state, stored.fence) == (JobState.RUNNING, 2)

    async def test_nor_does_its_failure_count(self, world: World, doing: Doing) -> None:
        job = world.add_job()

        async def be_late(job: LedgerEntry) -> None:
            await self.lose(world, job)
            raise LookupError("late")

        doing.does = be_late
        ran = await runner(world, doing)()
        assert ran == Ran(doing.seen[0], Outcome.LOST, "LookupError: late")
        assert world.store.ledger[job.id].state is JobState.RUNNING

    async def test_a_job_that_is_gone_is_lost(self, world: World, doing: Doing) -> None:
        world.add_job()

        async def discard(job: LedgerEntry) -> None:
            del world.store.ledger[job.id]
            raise LookupError("gone")

        doing.does = discard
        ran = await runner(world, doing)()
        assert ran is not None
        assert ran.outcome is Outcome.LOST

    async def test_so_is_one_whose_end_cannot_be_written(
        self, world: World, doing: Doing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = world.add_job()

        async def away(*_: object) -> None:
            raise Unavailable

        doing.raises = LookupError("first")
        run = runner(world, doing)
        monkeypatch.setattr("taskflow_memory.transactions.MemoryTransaction.commit", away)
        ran = await run()
        assert ran == Ran(doing.seen[0], Outcome.LOST, "LookupError: first")
        assert world.store.ledger[job.id].state is JobState.RUNNING  # until its lease is out

    async def test_a_store_that_is_away_is_told_before_anything_is_claimed(
        self, world: World, doing: Doing
    ) -> None:
        async def away(*_: object, **__: object) -> LedgerEntry | None:
            raise Unavailable

        with pytest.raises(Unavailable):
            await RunJob(away, world.transactions, {"kind": doing}, lambda: 0)()


class TestCancelled:
    async def begun(self, world: World, doing: Doing) -> asyncio.Task[Ran | None]:
        """A run whose handler has begun and does not end."""
        begun = asyncio.Event()

        async def hang(_: LedgerEntry) -> None:
            begun.set()
            await asyncio.Event().wait()

        doing.does = hang
        task = asyncio.ensure_future(runner(world, doing)())
        await begun.wait()
        return task

    async def test_it_is_given_back_and_its_try_does_not_count(self, world: World, doing: Doing) -> None:
        job = world.add_job()
        task = await self.begun(world, doing)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        stored = world.store.ledger[job.id]
        assert (stored.state, stored.tries, stored.fence) == (JobState.PENDING, 0, 1)
        assert stored.is_due(NOW)
        assert world.queue.pop() == job.id

    async def test_what_was_lost_meanwhile_is_not_given_back(self, world: World, doing: Doing) -> None:
        job = world.add_job()
        task = await self.begun(world, doing)
        world.store.ledger[job.id].claim(NOW)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (world.store.ledger[job.id].state, world.store.ledger[job.id].tries) == (JobState.RUNNING, 2)
