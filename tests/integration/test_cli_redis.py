"""The client of Redis: it answers, or says within its deadline that nobody does."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from taskflow_core import Unavailable
from taskflow_redis import client as of_production
from taskflow_redis import close_client, inspect, open_client, ping


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of a server that takes connections and never says a word."""

    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    server.close()


@pytest.fixture
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes longer than one waits in production."""
    for limit in ("CONNECT_SECONDS", "ANSWER_SECONDS", "POOL_WAIT_SECONDS"):
        monkeypatch.setattr(of_production, limit, 60.0)


@pytest.mark.usefixtures("_patience")
async def test_ping(redis_url: str) -> None:
    client = open_client(redis_url)
    await asyncio.gather(*(ping(client, deadline=60) for _ in range(200)))
    await close_client(client)


@pytest.mark.usefixtures("_patience")
async def test_more_callers_than_connections_wait_instead_of_failing(redis_url: str) -> None:
    client = open_client(redis_url, connections=2)
    await asyncio.gather(*(ping(client, deadline=60) for _ in range(50)))
    await close_client(client)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0", "redis://no-such-host.invalid/0", "unix:///nowhere/x.sock"]
)
async def test_who_cannot_be_reached_is_unavailable(url: str) -> None:
    client = open_client(url)
    with pytest.raises(Unavailable) as caught:
        await ping(client)
    assert "127.0.0.1" not in caught.value.detail
    await close_client(client)
    with pytest.raises(Unavailable):
        await inspect(url)


@pytest.mark.usefixtures("_patience")
async def test_who_is_silent_is_unavailable_within_the_deadline(silent: str) -> None:
    client = open_client(silent)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="in time"):
        await ping(client, deadline=0.3)
    # Not when a read or a connection is given up.
    assert time.monotonic() - began < 30
    await close_client(client)


async def test_a_wrong_password_is_told(redis_url: str) -> None:
    refused = redis_url.replace("redis://", "redis://somebody:hunter2@").replace(
        "unix://", "unix://somebody:hunter2@"
    )
    with pytest.raises(Unavailable) as caught:
        await inspect(refused)
    assert "hunter2" not in str(caught.value)


@pytest.mark.usefixtures("_patience")
async def test_what_a_server_is_like(redis_url: str) -> None:
    report = await inspect(redis_url, deadline=60)
    assert report.product in {"Redis", "Valkey"}
    assert report.eviction == "noeviction"
    assert (report.memory_limit, report.appends, report.last_write_failed) == (0, False, False)
