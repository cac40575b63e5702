"""Commands of one tick share a pipeline; each caller gets its own answer, and nobody pays for another."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from support.pauses import paused
from support.redis import PATIENCE, redis_batches
from taskflow_core import Unavailable
from taskflow_embedded import ValkeyServer, throwaway_valkey
from taskflow_redis import Batches, batching

ECHO = batching.Script("return {KEYS[1], ARGV[1]}")


@pytest.fixture
async def batches(redis_url: str) -> AsyncIterator[Batches]:
    async with redis_batches(redis_url) as made:
        yield made


@pytest.fixture
def pipelines(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commands each pipeline held."""
    sent: list[int] = []
    real = Pipeline.execute

    async def watched(self: Pipeline, raise_on_error: bool = True) -> list[Any]:
        sent.append(len(self.command_stack))
        return await real(self, raise_on_error)

    monkeypatch.setattr(Pipeline, "execute", watched)
    return sent


async def test_each_gets_its_own_answer(batches: Batches) -> None:
    answers = await asyncio.gather(*(batches.execute("ECHO", str(n)) for n in range(500)))
    assert answers == [str(n).encode() for n in range(500)]


async def test_commands_of_a_tick_share_a_pipeline(batches: Batches, pipelines: list[int]) -> None:
    await asyncio.gather(*(batches.execute("PING") for _ in range(500)))
    assert pipelines == [500]


async def test_a_command_alone_is_sent_at_once(batches: Batches, pipelines: list[int]) -> None:
    for _ in range(3):
        assert await batches.execute("PING") == b"PONG"
    assert pipelines == [1, 1, 1]


async def test_while_two_are_under_way_the_rest_gathers(batches: Batches, pipelines: list[int]) -> None:
    calls = []
    for _ in range(20):
        calls.append(asyncio.create_task(batches.execute("PING")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert pipelines[:2] == [1, 1]
    await asyncio.gather(*calls)
    assert sum(pipelines) == 20
    assert len(pipelines) < 20


async def test_an_error_is_its_callers_alone(batches: Batches) -> None:
    await batches.execute("SET", "text", "x")
    results = await asyncio.gather(
        batches.execute("ECHO", "before"),
        batches.execute("LPUSH", "text", "x"),
        batches.execute("NO SUCH COMMAND"),
        batches.execute("ECHO", "after"),
        return_exceptions=True,
    )
    assert (results[0], results[3]) == (b"before", b"after")
    assert [type(result) for result in results[1:3]] == [Unavailable] * 2


async def test_what_cannot_be_sent_is_its_callers_alone(batches: Batches) -> None:
    calls = [
        batches.execute("ECHO", "before"),
        batches.execute("ECHO", "\ud800"),
        batches.execute("ECHO", "after"),
    ]
    before, error, after = await asyncio.gather(*calls, return_exceptions=True)
    assert (before, after) == (b"before", b"after")
    assert isinstance(error, UnicodeEncodeError)


async def test_a_caller_that_is_cancelled_takes_nothing_from_the_others(batches: Batches) -> None:
    calls = [asyncio.create_task(batches.execute("ECHO", str(n))) for n in range(10)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert results[1::2] == [str(n).encode() for n in range(1, 10, 2)]
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert await batches.execute("ECHO", "next") == b"next"


async def test_where_all_are_cancelled_the_next_is_served(batches: Batches) -> None:
    for _ in range(5):
        calls = [asyncio.create_task(batches.execute("PING")) for _ in range(10)]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    assert await batches.execute("ECHO", "next") == b"next"


async def test_a_script_is_sent_once_and_named_after(batches: Batches, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as watcher:
        await watcher.script_flush()
        await watcher.config_resetstat()
        for _ in range(3):
            answers = await asyncio.gather(*(batches.run(ECHO, (f"key {n}",), n) for n in range(10)))
            assert answers == [[f"key {n}".encode(), str(n).encode()] for n in range(10)]
        calls = await watcher.info("commandstats")
    assert (calls["cmdstat_eval"]["calls"], calls["cmdstat_evalsha"]["calls"]) == (10, 30)


async def test_a_flushed_script_is_sent_again_and_its_neighbours_do_not_notice(
    batches: Batches, redis_url: str
) -> None:
    async with Redis.from_url(redis_url) as watcher:
        await batches.run(ECHO, ("key",), 1)
        await watcher.script_flush()
        answers = await asyncio.gather(
            batches.execute("INCR", "once"), batches.run(ECHO, ("key",), 2), batches.execute("INCR", "once")
        )
    assert list(answers) == [1, [b"key", b"2"], 2]


async def test_a_script_that_fails_is_unavailable(batches: Batches) -> None:
    with pytest.raises(Unavailable):
        await batches.run(batching.Script("return redis.call('LPUSH', KEYS[1])"), ("key",))
    with pytest.raises(Unavailable):
        await batches.run(batching.Script("not Lua"), ())


@pytest.mark.parametrize("rounds", range(6))
async def test_whenever_it_is_closed_nobody_waits_for_ever(batches: Batches, rounds: int) -> None:
    calls = [asyncio.ensure_future(batches.execute("PING")) for _ in range(3)]
    for _ in range(rounds):
        await asyncio.sleep(0)
    await batches.aclose()
    async with asyncio.timeout(PATIENCE):
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} <= {Unavailable, bytes}


class TestServerAway:
    @pytest.fixture
    def server(self) -> Iterator[ValkeyServer]:
        with throwaway_valkey() as server:
            yield server

    @pytest.fixture
    async def batches(self, server: ValkeyServer) -> AsyncIterator[Batches]:
        async with redis_batches(server.url) as made:
            yield made

    @pytest.fixture
    async def patient(self, server: ValkeyServer) -> AsyncIterator[Redis]:
        """A client without time-outs, so that the deadline alone ends what hangs."""
        client = Redis.from_url(server.url, socket_timeout=None)
        yield client
        await client.aclose()

    async def test_all_are_told_at_once_and_served_again_when_it_is_back(
        self, server: ValkeyServer, batches: Batches
    ) -> None:
        assert await batches.execute("PING") == b"PONG"
        server.kill()
        for _ in range(3):
            began = time.monotonic()
            calls = [batches.execute("PING") for _ in range(100)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(result) for result in results} == {Unavailable}
            assert len({id(result) for result in results}) == 100
            # Nobody waited for a deadline.
            assert time.monotonic() - began < PATIENCE / 2
        server.start()
        assert await batches.execute("ECHO", "back") == b"back"

    async def test_a_server_that_hangs_holds_nobody_past_the_deadline(
        self, server: ValkeyServer, patient: Redis
    ) -> None:
        batches = Batches(patient, deadline=PATIENCE)
        assert await batches.execute("PING") == b"PONG"
        with paused(server.pid):
            batches._deadline = 0.5
            began, calls = time.monotonic(), []
            for n in range(300):
                calls.append(asyncio.create_task(batches.execute("ECHO", str(n))))
                await asyncio.sleep(0.001)
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(result) for result in results} == {Unavailable}
            assert time.monotonic() - began < PATIENCE / 2
        batches._deadline = PATIENCE
        # The answers that came too late must not be taken for those of others.
        for n in range(1_000, 1_050):
            assert await batches.execute("ECHO", str(n)) == str(n).encode()

    async def test_closing_tells_who_waits(self, server: ValkeyServer, patient: Redis) -> None:
        batches = Batches(patient, deadline=PATIENCE)
        with paused(server.pid):
            waiting = []
            for _ in range(4):
                waiting.append(asyncio.create_task(batches.execute("PING")))
                await asyncio.sleep(0.01)
            began = time.monotonic()
            await batches.aclose()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(result) for result in results] == [Unavailable] * 4
            assert time.monotonic() - began < PATIENCE / 2
