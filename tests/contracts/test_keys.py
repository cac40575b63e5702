"""Requests that are done once: known by owner and key, kept by a commit alone, for a day."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from contracts.persistence import Persistence
from support.samples import entry_of, new_id, new_job, new_task
from taskflow_core import JobKind, KeyReused, Once, Replayed, RequestInProgress, UnknownOwner
from taskflow_core.idempotency import KEPT_FOR, KEY_MAX, WAIT_FOR

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def once(owner: UUID, key: str = "key", fingerprint: bytes = b"print") -> Once:
    return Once(owner, key, fingerprint, lambda result: f"answer {result}".encode())


def answer_with(answer: bytes, _: object) -> bytes:
    return answer


async def create(persistence: Persistence, by: Once, result: object = 1) -> None:
    """Make a task, if it was not made before."""
    task = new_task(by.owner)
    async with persistence.transactions(by) as unit:
        unit.replay()
        unit.tasks.add(task, entry_of(task))
        await unit.commit(result)


async def tasks_of(persistence: Persistence, owner: UUID) -> int:
    return (await persistence.task_reads.stats(owner, entry_of(new_task(owner)).at)).total


@pytest.fixture
async def owner(persistence: Persistence) -> UUID:
    return (await persistence.new_user()).id


class TestReplay:
    async def test_the_same_request_gets_the_same_answer_and_does_nothing(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        await create(persistence, once(owner), "☃")
        for _ in range(2):
            with pytest.raises(Replayed) as caught:
                await create(persistence, once(owner), "another")
            assert caught.value.answer == "answer ☃".encode()
        assert await tasks_of(persistence, owner) == 1

    async def test_it_is_refused_at_the_commit_at_the_latest(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        await create(persistence, once(owner))
        persistence.hints()
        task, job = new_task(owner), new_job()

        async def forget_to_ask() -> None:
            async with persistence.transactions(once(owner)) as unit:
                unit.tasks.add(task, entry_of(task))
                unit.ledger.add(job)
                await unit.commit(2)

        with pytest.raises(Replayed) as caught:
            await forget_to_ask()
        assert caught.value.answer == b"answer 1"
        assert await persistence.task(task.id) is None
        assert await persistence.job(job.id) is None
        assert persistence.hints() == []

    async def test_an_answer_may_be_anything(self, persistence: Persistence, owner: UUID) -> None:
        for key, answer in (("empty", b""), ("bytes", bytes(range(256))), ("long", b"x" * 300_000)):
            request = Once(owner, key, b"\0" * 32, partial(answer_with, answer))
            await create(persistence, request)
            with pytest.raises(Replayed) as caught:
                await create(persistence, request)
            assert caught.value.answer == answer

    async def test_a_unit_that_writes_nothing_else_is_kept_too(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        async with persistence.transactions(once(owner)) as unit:
            unit.replay()
            await unit.commit()
        with pytest.raises(Replayed) as caught:
            await create(persistence, once(owner))
        assert caught.value.answer == b"answer None"

    async def test_one_that_loads_and_saves_is_done_once(self, persistence: Persistence, owner: UUID) -> None:
        task = await persistence.new_task(owner)

        async def retitle() -> None:
            async with persistence.transactions(once(owner)) as unit:
                loaded = (await unit.tasks.load([task.id]))[task.id]
                unit.replay()
                loaded.title += "!"
                loaded.version += 1
                unit.tasks.save(loaded, entry_of(loaded))
                await unit.commit()

        await retitle()
        with pytest.raises(Replayed):
            await retitle()
        stored = await persistence.task(task.id)
        assert stored is not None
        assert (stored.title, stored.version) == ("A task!", 2)

    async def test_without_a_key_nothing_is_known_again(self, persistence: Persistence) -> None:
        for _ in range(2):
            async with persistence.transactions() as unit:
                unit.replay()
                await unit.commit("result")
        await persistence.age(2 * KEPT_FOR)
        assert await persistence.remove(JobKind.CLEAN_KEYS) == 0


class TestOthers:
    async def test_another_request_by_the_same_key_is_refused_on_entering(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        await create(persistence, once(owner))
        for fingerprint in (b"another", b"", b"prin"):
            with pytest.raises(KeyReused):
                async with persistence.transactions(once(owner, fingerprint=fingerprint)):
                    pytest.fail("it was entered")
        with pytest.raises(Replayed):
            await create(persistence, once(owner))

    async def test_other_keys_are_other_requests(self, persistence: Persistence, owner: UUID) -> None:
        keys = ["key", "Key", "key ", "k", "x" * KEY_MAX, "☃ é %_\\ '"]
        for key in keys:
            await create(persistence, once(owner, key))
        assert await tasks_of(persistence, owner) == len(keys)
        for key in keys:
            with pytest.raises(Replayed):
                await create(persistence, once(owner, key))

    async def test_other_peoples_keys_are_theirs(self, persistence: Persistence, owner: UUID) -> None:
        other = (await persistence.new_user()).id
        await create(persistence, once(owner), "mine")
        await create(persistence, once(other, fingerprint=b"another"), "theirs")
        for who, fingerprint, answer in (
            (owner, b"print", b"answer mine"),
            (other, b"another", b"answer theirs"),
        ):
            with pytest.raises(Replayed) as caught:
                await create(persistence, once(who, fingerprint=fingerprint))
            assert caught.value.answer == answer


class TestKept:
    async def test_a_unit_that_was_taken_back_keeps_nothing(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        async with persistence.transactions(once(owner)) as unit:
            unit.replay()

        async def fail() -> None:
            async with persistence.transactions(once(owner)) as unit:
                unit.replay()
                raise LookupError

        with pytest.raises(LookupError):
            await fail()
        await create(persistence, once(owner, fingerprint=b"another"))
        assert await tasks_of(persistence, owner) == 1

    async def test_nor_does_one_whose_commit_was_refused(self, persistence: Persistence, owner: UUID) -> None:
        orphan = new_task(new_id())

        async def assign_to_nobody() -> None:
            async with persistence.transactions(once(owner)) as unit:
                unit.tasks.add(orphan, entry_of(orphan))
                await unit.commit()

        with pytest.raises(UnknownOwner):
            await assign_to_nobody()
        await create(persistence, once(owner))

    async def test_nor_one_whose_answer_cannot_be_made(self, persistence: Persistence, owner: UUID) -> None:
        def fail(_: object) -> bytes:
            raise LookupError

        with pytest.raises(LookupError):
            await create(persistence, Once(owner, "key", b"print", fail))
        assert await tasks_of(persistence, owner) == 0
        await create(persistence, once(owner))

    async def test_after_a_day_it_is_a_new_request(self, persistence: Persistence, owner: UUID) -> None:
        await create(persistence, once(owner), "old")
        await persistence.age(KEPT_FOR - MINUTE)
        with pytest.raises(Replayed):
            await create(persistence, once(owner))
        await persistence.age(2 * MINUTE)
        await create(persistence, once(owner, fingerprint=b"another"), "new")
        await persistence.age(HOUR)
        with pytest.raises(Replayed) as caught:
            await create(persistence, once(owner, fingerprint=b"another"))
        assert caught.value.answer == b"answer new"
        assert await tasks_of(persistence, owner) == 2


class TestRaces:
    async def test_of_twenty_at_once_one_is_done_and_all_get_its_answer(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        work = (create(persistence, once(owner), n) for n in range(20))
        ended = await asyncio.gather(*work, return_exceptions=True)
        answers = {end.answer for end in ended if isinstance(end, Replayed)}
        assert sum(isinstance(end, Replayed) for end in ended) == 19
        (winner,) = (n for n, end in enumerate(ended) if end is None)
        assert answers == {f"answer {winner}".encode()}
        assert await tasks_of(persistence, owner) == 1

    async def test_where_the_first_fails_the_next_does_it(
        self, persistence: Persistence, owner: UUID
    ) -> None:
        task = new_task(new_id())

        async def fail() -> None:
            async with persistence.transactions(once(owner)) as unit:
                unit.replay()
                unit.tasks.add(task, entry_of(task))
                await unit.commit()

        work = [*(fail() for _ in range(5)), *(create(persistence, once(owner)) for _ in range(5))]
        ended = await asyncio.gather(*work, return_exceptions=True)
        assert ended.count(None) == 1
        assert {type(end) for end in ended} <= {type(None), UnknownOwner, Replayed}
        assert await tasks_of(persistence, owner) == 1

    async def test_one_that_is_cancelled_while_it_waits_holds_nothing(
        self, concurrent_persistence: Persistence, somebody_waits: Callable[[], Awaitable[None]]
    ) -> None:
        persistence = concurrent_persistence
        owner = (await persistence.new_user()).id
        async with persistence.transactions(once(owner)) as unit:
            for _ in range(12):  # more than any pool has connections
                late = asyncio.ensure_future(create(persistence, once(owner)))
                await somebody_waits()
                late.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await late
            await unit.commit("first")
        with pytest.raises(Replayed):
            await create(persistence, once(owner))

    async def test_nobody_waits_longer_than_that(self, concurrent_persistence: Persistence) -> None:
        persistence = concurrent_persistence
        owner = (await persistence.new_user()).id
        async with persistence.transactions(once(owner)) as unit:
            await create(persistence, once(owner, "another key"))
            began = time.monotonic()
            with pytest.raises(RequestInProgress):
                await create(persistence, once(owner))
            waited = time.monotonic() - began
            await unit.commit("first")
        assert WAIT_FOR.total_seconds() - 0.5 < waited < WAIT_FOR.total_seconds() + 30
        with pytest.raises(Replayed) as caught:
            await create(persistence, once(owner))
        assert caught.value.answer == b"answer first"
        assert await tasks_of(persistence, owner) == 1
