"""A mail server that is away takes notices down, and nothing else."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest

from support.samples import World
from support.work import until
from taskflow_core import JobKind, JobState, LedgerEntry, Notice
from taskflow_memory import MemoryNotifier
from taskflow_worker.slots import Slots


@dataclass
class Silent:
    """A notifier that answers nobody until it is told to."""

    answers: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    most: int = 0
    sent: list[Notice] = field(default_factory=list)

    async def send(self, notice: Notice) -> None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await self.answers.wait()
        finally:
            self.waiting -= 1
        self.sent.append(notice)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Silent:
    silent = Silent()
    monkeypatch.setattr(MemoryNotifier, "send", lambda _, notice: silent.send(notice))
    return silent


def add_notices(world: World, number: int) -> list[LedgerEntry]:
    user = world.add_user()
    return [world.add_job(JobKind.SECURITY_EVENT, subject=user.id) for _ in range(number)]


def states(world: World, kind: JobKind) -> Counter[JobState]:
    return Counter(job.state for job in world.store.ledger.values() if job.kind == kind)


async def test_with_a_silent_mail_server_other_jobs_are_done_and_then_all_notices(
    world: World, silent: Silent
) -> None:
    add_notices(world, 32)
    refund = world.add_job(JobKind.SAMPLE_REFUND, payload={"fail": "0"})
    slots = Slots(world.use_cases.run_job, 4, poll_seconds=1000)
    slots.start()
    await until(lambda: world.store.ledger[refund.id].state is JobState.DONE)
    await until(lambda: silent.waiting == 3)
    assert silent.sent == []
    later = world.add_job(JobKind.SAMPLE_REFUND, payload={"fail": "0"})
    await asyncio.to_thread(slots.take, later.id)
    await until(lambda: world.store.ledger[later.id].state is JobState.DONE)
    silent.answers.set()
    # No poll and no more hints: those that waited go on until nothing is due.
    await until(lambda: states(world, JobKind.SECURITY_EVENT) == {JobState.DONE: 32})
    assert (silent.most, len(silent.sent)) == (3, 32)
    await slots.stop(1.0)


async def test_one_at_a_time_does_notices_too(world: World, silent: Silent) -> None:
    silent.answers.set()
    add_notices(world, 3)
    slots = Slots(world.use_cases.run_job, 1, poll_seconds=1000)
    slots.start()
    await until(lambda: len(silent.sent) == 3)
    await slots.stop(1.0)


async def test_no_notice_that_was_hinted_at_waits_for_the_clock(world: World, silent: Silent) -> None:
    silent.answers.set()
    user = world.add_user()
    slots = Slots(world.use_cases.run_job, 2, poll_seconds=1000)
    slots.start()
    for number in range(1, 101):
        job = world.add_job(JobKind.SECURITY_EVENT, subject=user.id)
        await asyncio.to_thread(slots.take, job.id)
        if number % 7 == 0:
            await until(lambda: len(silent.sent) == number)  # noqa: B023 - waited for in this round
    await until(lambda: len(silent.sent) == 100)
    await slots.stop(1.0)
