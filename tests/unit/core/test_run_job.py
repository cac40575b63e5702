"""A worker's step: claim, do, and commit what came of it with the end of the job."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from support.loop_clock import LoopClock
from support.samples import NOW, World, new_id
from support.work import until
from taskflow_core import (
    Effect,
    JobKind,
    JobState,
    LedgerEntry,
    NotFound,
    Outcome,
    Ran,
    RunJob,
    Skipped,
    Unavailable,
    Undeliverable,
)
from taskflow_core.ledger import LEASE, NOTICE_KINDS, NOTICE_TIME_LIMIT, TIME_LIMIT
from taskflow_core.ports.persistence import Transaction
from taskflow_core.use_cases.ledger.bulkhead import Bulkhead
from taskflow_memory import MemoryClaims
from taskflow_memory.transactions import MemoryTransaction


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

    @pytest.mark.parametrize("with_effect", [True, False])
    async def test_one_may_say_why_there_was_nothing_to_do(
        self, world: World, doing: Doing, with_effect: bool
    ) -> None:
        job = world.add_job()

        async def skip(job: LedgerEntry) -> Effect:
            return Skipped("it was done by hand", refund_of(job) if with_effect else None)

        doing.does = skip
        ran = await runner(world, doing)()
        assert ran == Ran(doing.seen[0], Outcome.DONE, note="it was done by hand")
        assert world.store.ledger[job.id].state is JobState.DONE
        assert world.store.refunds == ({job.id: 1} if with_effect else {})

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

    async def test_of_others_errors_no_secret_is_kept(self, world: World, doing: Doing) -> None:
        job = world.add_job()
        doing.raises = LookupError("by postgresql://me:secret@here")
        await runner(world, doing, redact=lambda text: text.replace("secret", "*"))()
        assert world.store.ledger[job.id].error == "LookupError: by postgresql://me:*@here"

    async def test_of_one_that_cannot_say_what_it_is_the_name_is_kept(
        self, world: World, doing: Doing
    ) -> None:
        class OddError(Exception):
            def __str__(self) -> str:
                return str(self.args[5])

        job = world.add_job()
        doing.raises = OddError()
        ran = await runner(world, doing)()
        stored = world.store.ledger[job.id]
        assert ran == Ran(doing.seen[0], Outcome.FAILED, "OddError", stored)
        assert (stored.state, stored.error) == (JobState.PENDING, "OddError")

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

    @pytest.mark.parametrize("failure", [Unavailable, UnicodeError], ids=["of ours", "of another"])
    async def test_so_is_one_whose_end_cannot_be_written(
        self, world: World, doing: Doing, monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
    ) -> None:
        job = world.add_job()

        async def away(*_: object) -> None:
            raise failure

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
    told: list[Ran]

    async def begun(self, world: World, doing: Doing) -> asyncio.Task[Ran | None]:
        """A run whose handler has begun and does not end."""
        begun = asyncio.Event()
        self.told = []

        async def hang(_: LedgerEntry) -> None:
            begun.set()
            await asyncio.Event().wait()

        doing.does = hang
        task = asyncio.ensure_future(runner(world, doing)(tell=self.told.append))
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
        assert self.told == [Ran(doing.seen[0], Outcome.GIVEN_BACK, None, stored)]

    async def test_what_was_lost_meanwhile_is_not_given_back(self, world: World, doing: Doing) -> None:
        job = world.add_job()
        task = await self.begun(world, doing)
        world.store.ledger[job.id].claim(NOW)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (world.store.ledger[job.id].state, world.store.ledger[job.id].tries) == (JobState.RUNNING, 2)
        assert self.told == [Ran(doing.seen[0], Outcome.LOST)]


async def some_rounds() -> None:
    """As many as anything needs that is not going to happen."""
    for _ in range(20):
        await asyncio.sleep(0)


class Moved:
    """The loop's clock, moved on by hand: what a test takes itself is nothing beside a lease."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def until(self, holds: Callable[[], bool] = lambda: False) -> None:
        """Move it on, a little at a time."""
        with LoopClock() as clock:
            for _ in range(1_000):
                if holds():
                    return
                self.seconds += 0.25
                await clock.move(0.25)
        pytest.fail("it never came to hold")


@pytest.fixture
def moved() -> Moved:
    return Moved()


class Held:
    """Handlers whose jobs go on until they are let go, by kind."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.gate = asyncio.Event()

    async def __call__(self, job: LedgerEntry) -> None:
        self.began.append(job.kind)
        await self.gate.wait()


@dataclass
class SlowClaims:
    """Claims that wait until they are let go, and look at what is due after that, or before."""

    world: World
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[frozenset[str]] = field(default_factory=list)
    early: bool = False

    async def __call__(
        self, hint: UUID | None, *, kinds: Collection[str], lease: timedelta
    ) -> LedgerEntry | None:
        self.asked.append(frozenset(kinds))
        claims = MemoryClaims(self.world.store)
        seen = await claims(hint, kinds=kinds, lease=lease) if self.early else None
        await self.gate.wait()
        return seen if self.early else await claims(hint, kinds=kinds, lease=lease)


class TestBulkhead:
    """Jobs of kind "slow" share something that may be slow; two of them may run."""

    def runner(self, world: World, claims: Any = None) -> tuple[RunJob, Held]:
        held = Held()
        run = RunJob(
            claims or MemoryClaims(world.store), world.transactions, {"slow": held, "other": held},
            lambda: 0.5, bulkhead=Bulkhead({"slow"}),
        )  # fmt: skip
        return run, held

    def flooded(self, world: World) -> tuple[RunJob, Held]:
        """Return one for which "flood" is the lesser of two slow kinds."""
        held = Held()
        run = RunJob(
            MemoryClaims(world.store), world.transactions, {"slow": held, "flood": held}, lambda: 0.5,
            bulkhead=Bulkhead({"slow", "flood"}, {"flood"}),
        )  # fmt: skip
        return run, held

    async def test_no_more_of_them_run_than_may_and_others_do(self, world: World) -> None:
        run, held = self.runner(world)
        for kind in ("slow", "slow", "slow", "other"):
            world.add_job(kind)
        tries = [asyncio.ensure_future(run(bulkhead_size=2)) for _ in range(4)]
        await until(lambda: len(held.began) == 3)
        assert held.began == ["slow", "slow", "other"]
        assert await tries[3] is None
        held.gate.set()
        await asyncio.gather(*tries)
        ran = await run(bulkhead_size=2)
        assert ran is not None
        assert ran.job.kind == "slow"

    async def test_without_a_size_all_may_run(self, world: World) -> None:
        run, held = self.runner(world)
        for _ in range(3):
            world.add_job("slow")
        tries = [asyncio.ensure_future(run()) for _ in range(3)]
        await until(lambda: len(held.began) == 3)
        held.gate.set()
        await asyncio.gather(*tries)

    async def test_a_hint_at_one_too_many_claims_another_kind(self, world: World) -> None:
        run, held = self.runner(world)
        first, second = world.add_job("slow"), world.add_job("slow")
        other = world.add_job("other")
        task = asyncio.ensure_future(run(first.id, bulkhead_size=1))
        await until(lambda: bool(held.began))
        held.gate.set()
        ran = await run(second.id, bulkhead_size=1) if not task.done() else None
        assert ran is not None
        assert ran.job.id == other.id
        await task

    async def test_what_fails_or_is_cancelled_leaves_its_place(self, world: World) -> None:
        run, held = self.runner(world)
        for _ in range(2):
            world.add_job("slow")
        cancelled = asyncio.ensure_future(run(bulkhead_size=1))
        await until(lambda: len(held.began) == 1)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        held.gate.set()
        assert await run(bulkhead_size=1) is not None

    async def test_what_other_kinds_do_takes_no_place(self, world: World) -> None:
        run, held = self.runner(world)
        world.add_job("other")
        task = asyncio.ensure_future(run(bulkhead_size=1))
        await until(lambda: held.began == ["other"])
        world.add_job("slow")
        second = asyncio.ensure_future(run(bulkhead_size=1))
        await until(lambda: held.began == ["other", "slow"])
        held.gate.set()
        await asyncio.gather(task, second)

    async def test_a_claim_under_way_takes_a_place_until_it_is_known_what_it_brings(
        self, world: World
    ) -> None:
        claims = SlowClaims(world)
        run, held = self.runner(world, claims)
        held.gate.set()
        tries = [asyncio.ensure_future(run(bulkhead_size=1)) for _ in range(2)]
        await some_rounds()
        assert claims.asked == [{"slow", "other"}, {"other"}]
        claims.gate.set()
        await asyncio.gather(*tries)
        assert await asyncio.ensure_future(run(bulkhead_size=1)) is None
        assert claims.asked[-1] == {"slow", "other"}

    async def test_who_was_turned_away_by_a_claim_that_came_too_early_is_not_forgotten(
        self, world: World
    ) -> None:
        claims = SlowClaims(world, early=True)
        run, held = self.runner(world, claims)
        held.gate.set()
        first = asyncio.ensure_future(run(bulkhead_size=1))
        await some_rounds()
        late = world.add_job("slow")
        second = asyncio.ensure_future(run(late.id, bulkhead_size=1))
        await some_rounds()
        claims.gate.set()
        ran = await first
        assert await second is None
        assert ran is not None
        assert (ran.job.id, ran.outcome) == (late.id, Outcome.DONE)

    async def test_the_lesser_ones_leave_a_place_to_the_others(self, world: World) -> None:
        run, held = self.flooded(world)
        for kind in ("flood", "flood", "flood", "slow"):
            world.add_job(kind)
        tries = [asyncio.ensure_future(run(bulkhead_size=3)) for _ in range(4)]
        await until(lambda: len(held.began) == 3)
        assert held.began == ["flood", "flood", "slow"]
        assert await tries[3] is None
        held.gate.set()
        await asyncio.gather(*tries)
        ran = await run(bulkhead_size=3)
        assert ran is not None
        assert ran.job.kind == "flood"

    async def test_of_one_place_the_lesser_ones_leave_none(self, world: World) -> None:
        run, held = self.flooded(world)
        held.gate.set()
        world.add_job("flood")
        assert await run(bulkhead_size=1) is not None

    async def test_what_tells_people_is_one_of_taskflows(self, world: World) -> None:
        run = world.use_cases.run_job
        assert isinstance(run, RunJob)
        assert run.bulkhead.kinds == NOTICE_KINDS < run.handlers.keys()
        assert NOTICE_KINDS - set(run.bulkhead.lesser) == {JobKind.SECURITY_EVENT}
        assert run.time_limits == dict.fromkeys(NOTICE_KINDS, NOTICE_TIME_LIMIT)
        assert run.time_limit == TIME_LIMIT < LEASE < NOTICE_TIME_LIMIT
        assert JobKind.SAMPLE_REFUND not in NOTICE_KINDS


class TestLease:
    """It is renewed while a handler works, however long that takes."""

    LONG = 10 * LEASE

    @pytest.fixture
    def renewed(self, monkeypatch: pytest.MonkeyPatch) -> list[Exception | None]:
        """An entry for each renewal; what it raised, from `answers`."""
        renewed: list[Exception | None] = []
        self.answers: list[Exception] = []
        really = MemoryTransaction.commit

        async def commit(unit: MemoryTransaction, outcome: object = None) -> None:
            if unit.ledger.renewed:
                renewed.append(self.answers.pop(0) if self.answers else None)
                if renewed[-1] is not None:
                    raise renewed[-1]
            await really(unit, outcome)

        monkeypatch.setattr(MemoryTransaction, "commit", commit)
        return renewed

    async def test_a_long_try_is_renewed_and_done(
        self, world: World, doing: Doing, renewed: list[Exception | None], moved: Moved
    ) -> None:
        job = world.add_job()

        async def long(job: LedgerEntry) -> Effect:
            await moved.until(lambda: moved.seconds > 2 * LEASE.total_seconds())
            return refund_of(job)

        doing.does = long
        ran = await runner(world, doing, time_limit=self.LONG)()
        assert ran == Ran(doing.seen[0], Outcome.DONE)
        assert world.store.refunds == {job.id: 1}
        assert renewed

    async def test_a_short_one_is_not(
        self, world: World, doing: Doing, renewed: list[Exception | None]
    ) -> None:
        world.add_job()
        await runner(world, doing)()
        assert renewed == []

    async def test_a_renewal_that_fails_is_tried_again(
        self, world: World, doing: Doing, renewed: list[Exception | None], moved: Moved
    ) -> None:
        world.add_job()
        self.answers = [Unavailable(), LookupError("anything")]

        async def long(_: LedgerEntry) -> None:
            await moved.until(lambda: None in renewed)

        doing.does = long
        ran = await runner(world, doing, time_limit=self.LONG)()
        assert ran == Ran(doing.seen[0], Outcome.DONE)
        assert [type(error) for error in renewed[:3]] == [Unavailable, LookupError, type(None)]

    async def test_one_that_lost_its_claim_is_cut_off(self, world: World, doing: Doing, moved: Moved) -> None:
        job = world.add_job()

        async def lose(_: LedgerEntry) -> None:
            world.store.ledger[job.id].expire(NOW, 0)
            world.store.ledger[job.id].claim(NOW)
            await moved.until()

        doing.does = lose
        ran = await runner(world, doing, time_limit=self.LONG)()
        assert ran == Ran(doing.seen[0], Outcome.LOST)
        assert world.store.ledger[job.id].fence == 2

    async def test_so_is_one_whose_claim_can_not_be_renewed_until_it_is_out(
        self, world: World, doing: Doing, renewed: list[Exception | None], moved: Moved
    ) -> None:
        world.add_job()
        self.answers = [Unavailable() for _ in range(1_000)]

        async def hang(_: LedgerEntry) -> None:
            await moved.until()

        doing.does = hang
        ran = await runner(world, doing, time_limit=self.LONG)()
        assert ran == Ran(doing.seen[0], Outcome.LOST)
        assert renewed

    async def test_it_counts_from_before_the_claim_was_asked(
        self, world: World, doing: Doing, renewed: list[Exception | None], moved: Moved
    ) -> None:
        world.add_job()
        self.answers = [Unavailable() for _ in range(1_000)]

        async def slow(hint: UUID | None, **given: Any) -> LedgerEntry | None:
            claimed = await MemoryClaims(world.store)(hint, **given)
            await moved.until(lambda: moved.seconds >= 8)
            return claimed

        async def hang(_: LedgerEntry) -> None:
            await moved.until()

        doing.does = hang
        ran = await RunJob(slow, world.transactions, {"kind": doing}, lambda: 0.5, self.LONG)()
        assert ran == Ran(doing.seen[0], Outcome.LOST)
        assert renewed
        assert 15 < moved.seconds <= LEASE.total_seconds()

    async def test_and_from_before_a_renewal_was(
        self, world: World, doing: Doing, moved: Moved, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.add_job()
        asked: list[float] = []
        really = MemoryTransaction.commit

        async def commit(unit: MemoryTransaction, outcome: object = None) -> None:
            if unit.ledger.renewed:
                asked.append(moved.seconds)
                if len(asked) > 1:
                    raise Unavailable
                await really(unit, outcome)
                # The answer takes a while.
                while moved.seconds < asked[0] + 8:  # noqa: ASYNC110 - the handler moves the clock on
                    await asyncio.sleep(0)
                return
            await really(unit, outcome)

        async def hang(_: LedgerEntry) -> None:
            await moved.until()

        monkeypatch.setattr(MemoryTransaction, "commit", commit)
        doing.does = hang
        ran = await runner(world, doing, time_limit=self.LONG)()
        assert ran == Ran(doing.seen[0], Outcome.LOST)
        assert len(asked) > 1
        assert asked[0] + 15 < moved.seconds <= asked[0] + LEASE.total_seconds()

    async def test_a_renewal_under_way_ends_before_the_effect(
        self, world: World, doing: Doing, monkeypatch: pytest.MonkeyPatch, moved: Moved
    ) -> None:
        world.add_job()
        under_way, ended = asyncio.Event(), asyncio.Event()
        really = MemoryTransaction.commit

        async def commit(unit: MemoryTransaction, outcome: object = None) -> None:
            if unit.ledger.renewed:
                under_way.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.set()
            await really(unit, outcome)

        async def until_renewed(job: LedgerEntry) -> Effect:
            await moved.until(under_way.is_set)
            return refund_of(job)

        monkeypatch.setattr(MemoryTransaction, "commit", commit)
        doing.does = until_renewed
        ran = await runner(world, doing, time_limit=self.LONG)()
        assert ran is not None
        assert ran.outcome is Outcome.DONE
        assert ended.is_set()


class TestStuck:
    """A handler that swallows its cancellation."""

    def deaf(
        self, lost_in: World | None = None
    ) -> tuple[asyncio.Event, Callable[[LedgerEntry], Awaitable[None]]]:
        """Return what lets the handler go, and the handler; somebody else claims its job there, if so."""
        let_go = asyncio.Event()

        async def handler(job: LedgerEntry) -> None:
            if lost_in is not None:
                lost_in.store.ledger[job.id].claim(NOW)
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                await let_go.wait()

        return let_go, handler

    async def test_it_is_told_of_when_its_time_was_up(self, world: World, doing: Doing, moved: Moved) -> None:
        world.add_job()
        let_go, doing.does = self.deaf()
        told: list[Ran] = []
        task = asyncio.ensure_future(runner(world, doing)(tell=told.append))
        await moved.until(lambda: bool(told))
        assert told == [Ran(doing.seen[0], Outcome.STUCK)]
        let_go.set()
        await task

    async def test_it_is_when_its_lease_was_lost(self, world: World, doing: Doing, moved: Moved) -> None:
        job = world.add_job()
        let_go, doing.does = self.deaf(world)
        told: list[Ran] = []
        task = asyncio.ensure_future(runner(world, doing, time_limit=10 * LEASE)(tell=told.append))
        await moved.until(lambda: bool(told))
        let_go.set()
        assert await task == Ran(doing.seen[0], Outcome.LOST)
        assert told == [Ran(doing.seen[0], Outcome.STUCK)]
        assert world.store.ledger[job.id].fence == 2

    async def test_a_lease_that_is_lost_after_its_time_was_up_changes_nothing(
        self, world: World, doing: Doing, moved: Moved
    ) -> None:
        world.add_job()
        let_go, doing.does = self.deaf(world)
        told: list[Ran] = []
        task = asyncio.ensure_future(runner(world, doing, lease=6 * LEASE)(tell=told.append))
        await moved.until(lambda: bool(told))
        await moved.until(lambda: moved.seconds > 6 * LEASE.total_seconds())
        let_go.set()
        assert await task == Ran(doing.seen[0], Outcome.LOST)
        assert told == [Ran(doing.seen[0], Outcome.STUCK)]

    async def test_one_that_listens_is_not(self, world: World, doing: Doing, moved: Moved) -> None:
        world.add_job()
        told: list[Ran] = []

        async def hang(_: LedgerEntry) -> None:
            await asyncio.Event().wait()

        doing.does = hang
        task = asyncio.ensure_future(runner(world, doing)(tell=told.append))
        await moved.until(lambda: moved.seconds > 3 * LEASE.total_seconds())
        ran = await task
        assert ran is not None
        assert (ran.outcome, told) == (Outcome.FAILED, [])
