"""Heads and bodies that are too long or too slow, on a socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
import uvicorn

from support.byte_client import Client, connected
from support.http_world import World, let_pass, open_world
from support.serving import running
from taskflow_http import HttpOptions, protocol

HEAD = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
PATIENCE, IDLE = 600, 100
"""Seconds for what is to arrive, and for a connection between two requests: by a clock that tests put on."""
OPTIONS = HttpOptions(head_timeout=PATIENCE, body_timeout=PATIENCE, request_timeout=100 * PATIENCE)


@dataclass(frozen=True)
class Served:
    """A server, and what it has of its one connection."""

    port: int
    server: uvicorn.Server

    @property
    def connections(self) -> list[Any]:
        return list(self.server.server_state.connections)

    @property
    def received(self) -> int:
        """How many bytes came of a head that is not whole, or of a body."""
        return sum(connection._received for connection in self.connections)

    async def has_more(self) -> None:
        """Return once more has come."""
        before = self.received
        await until(lambda: self.received > before)

    async def grows_impatient(self) -> None:
        """Let the time pass that it has for what comes now and again, which does not give it more."""
        for _ in range(2):
            await self.has_more()
            let_pass(0.6 * PATIENCE)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(
    world: World, options: HttpOptions = OPTIONS, idle: int = 10 * PATIENCE, **replaced: Any
) -> AsyncIterator[Served]:
    """Serve a world as `taskflow serve` does."""
    async with running(world.app(options=options, **replaced), options, idle) as (port, server):
        yield Served(port, server)


@pytest.fixture(autouse=True)
def _linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server wait for a client that is slow to read why it was refused."""
    monkeypatch.setattr(protocol, "LINGER_SECONDS", PATIENCE * 10)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


@pytest.fixture
async def served(world: World) -> AsyncIterator[Served]:
    async with serving(world) as opened:
        yield opened


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    """A connection to a server."""
    async with connected(served.port) as opened:
        yield opened


async def test_usual_requests_on_one_connection(world: World, client: Client) -> None:
    token = world.token("user").encode()
    body = b'{"title": "x"}'
    post = (
        b"POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " + token
    )
    for _ in range(3):
        await client.send(HEAD + b"\r\n")
        assert (await client.answer())[0] == 200
        await client.send(post + b"\r\nContent-Length: 14\r\n\r\n", body)
        assert (await client.answer())[0] == 201
        # In pieces, and two at once.
        await client.send(HEAD[:10], HEAD[10:20], HEAD[20:] + b"\r\n" + HEAD + b"\r\n", pause=0.02)
        assert [(await client.answer())[0] for _ in range(2)] == [200, 200]
    assert len(world.store.tasks) == 3


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"".join(b"x-%d: 1\r\n" % i for i in range(20_000)),
        HEAD + b"x: " + b"y" * 2_000_000 + b"\r\n",
        HEAD + b"y" * 2_000_000,
        b"GET /" + b"y" * 2_000_000,
        HEAD + b"x: " + b"y" * 2_000_000,
    ],
    ids=["20,000 fields", "2 MB value", "2 MB name", "2 MB target", "2 MB unended"],
)
async def test_a_long_head_is_refused_before_it_is_whole(client: Client, head: bytes) -> None:
    sending = asyncio.create_task(client.send(head + b"\r\n"))

    status, headers, problem = await client.answer()

    assert (status, problem["code"]) == (431, "headers_too_large")
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    await asyncio.gather(sending, return_exceptions=True)
    await client.closed()


async def test_many_fields_in_a_short_head(client: Client) -> None:
    await client.send(HEAD + b"".join(b"x-%d: 1\r\n" % i for i in range(101)) + b"\r\n")

    assert (await client.answer())[0] == 431


async def test_a_byte_now_and_again_is_refused_in_time(served: Served, client: Client) -> None:
    sending = asyncio.create_task(client.trickle(HEAD * 10))
    await served.grows_impatient()

    status, headers, problem = await client.answer()

    assert (status, problem["code"], headers["connection"]) == (408, "request_timeout", "close")
    await sending
    await client.closed()


async def test_a_second_head_is_not_waited_for_either(served: Served, client: Client) -> None:
    await client.send(HEAD + b"\r\n" + HEAD)

    assert (await client.answer())[0] == 200
    await until(lambda: served.received)
    let_pass(PATIENCE)
    assert (await client.answer())[0] == 408


@pytest.mark.parametrize("sent", [b"", HEAD + b"\r\n"], ids=["nothing", "a request"])
async def test_a_connection_that_falls_silent_is_closed(world: World, sent: bytes) -> None:
    async with serving(world, idle=IDLE) as served, connected(served.port) as client:
        await client.send(sent)
        if sent:
            await client.answer()
        await until(lambda: served.connections)
        let_pass(IDLE if sent else PATIENCE)

        await client.closed()


async def test_blank_lines_do_not_keep_a_connection(served: Served, client: Client) -> None:
    await client.send(HEAD + b"\r\n")
    await client.answer()
    trickling = asyncio.create_task(client.trickle(b"\r\n" * 50))
    await served.grows_impatient()

    await client.closed()
    await trickling


POST = b"POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def test_a_slow_body_is_refused_in_time(world: World, served: Served, client: Client) -> None:
    await client.send(POST + f"Authorization: Bearer {world.token('user')}\r\n".encode())
    await client.send(b"Content-Length: 100\r\n\r\n")
    dripping = asyncio.create_task(client.trickle(b"x" * 99))
    await until(lambda: not any(connection._in_head for connection in served.connections))
    await served.grows_impatient()

    status, headers, problem = await client.answer()

    assert (status, problem["code"], headers["connection"]) == (408, "request_timeout", "close")
    assert problem["requestId"] == headers["x-request-id"]
    await dripping
    await client.closed()


async def test_what_is_left_of_an_answered_body_is_not_waited_for(served: Served, client: Client) -> None:
    await client.send(POST + b"Content-Length: 100\r\n\r\n")

    assert (await client.answer())[0] == 401
    dripping = asyncio.create_task(client.trickle(b"x" * 99))
    await served.grows_impatient()
    await dripping
    await client.closed()


@pytest.mark.parametrize("more", [True, False])
async def test_a_connection_lives_on_after_an_answered_body(world: World, *, more: bool) -> None:
    async with serving(world, idle=IDLE) as served, connected(served.port) as client:
        await client.send(POST + b"Content-Length: 3\r\n\r\n")
        assert (await client.answer())[0] == 401
        await client.send(b"x", b"x", b"x", pause=0.05)
        if more:
            await client.send(HEAD + b"\r\n")
            assert (await client.answer())[0] == 200
        await until(lambda: all(connection._in_head for connection in served.connections))
        let_pass(0.5 * IDLE)
        await asyncio.sleep(0.05)
        assert not client.reader.at_eof()

        # In all much less than a body has to arrive.
        let_pass(0.6 * IDLE)
        await client.closed()


async def test_trailers_are_no_headers(world: World, client: Client) -> None:
    body = b'{"title": "x"}'
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    trailer = f"Authorization: Bearer {world.token('user')}\r\nX-Request-ID: trailer\r\n\r\n".encode()
    await client.send(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n" + trailer)

    status, headers, _ = await client.answer()

    assert status == 401
    assert headers["x-request-id"] != "trailer"


async def test_framing_that_carries_nothing_comes_to_an_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "BODY_BYTES_MAX", 1_000_000)
    async with serving(world) as served, connected(served.port) as client:
        head = POST + f"Authorization: Bearer {world.token('user')}\r\n".encode()
        await client.send(head + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n")
        sending = asyncio.create_task(client.send(*[b"a: b\r\n" * 10_000] * 100))

        status, _, problem = await client.answer()

        assert (status, problem["code"]) == (413, "content_too_large")
        await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.parametrize(
    "sent",
    [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", HEAD + b"bad header\r\n\r\n", b"\x16\x03\x01\x02\x00"],
)
async def test_what_is_not_http(client: Client, sent: bytes) -> None:
    await client.send(sent)

    status, headers, problem = await client.answer()

    assert (status, problem["code"]) == (400, "malformed_request")
    assert headers["content-type"] == "application/problem+json"
    await client.closed()


async def test_a_body_that_breaks_off_its_framing(world: World, client: Client) -> None:
    head = POST + f"Authorization: Bearer {world.token('user')}\r\n".encode()
    with structlog.testing.capture_logs() as lines:
        await client.send(head + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n", pause=0.05)
        status, _, problem = await client.answer()
        await until(lambda: [line for line in lines if line["event"] == "request"])

    assert (status, problem["code"]) == (400, "malformed_request")
    assert [line.get("status") for line in lines if line["event"] == "request"] == [499]


async def test_a_refusal_waits_for_the_answer_before_it(world: World) -> None:
    find: Any = world.use_cases.find_user
    refused = asyncio.Event()

    async def slow(*given: Any) -> Any:
        await refused.wait()
        return await find(*given)

    async with serving(world, find_user=slow) as served, connected(served.port) as client:
        await client.send(
            b"GET /users/me HTTP/1.1\r\nHost: x\r\n",
            f"Authorization: Bearer {world.token('user')}\r\n\r\nGET /unfinished".encode(),
        )
        await until(lambda: any(it.cycle and it._in_head and it._received for it in served.connections))
        let_pass(PATIENCE)
        await until(lambda: served.connections[0]._refused)
        refused.set()
        status, _, problem = await client.answer()

        assert (status, problem["name"]) == (200, "User")
        assert (await client.answer())[0] == 408
        await client.closed()


async def test_a_refusal_is_logged_once(client: Client) -> None:
    with structlog.testing.capture_logs() as lines:
        await client.send(*[HEAD + b"y" * 50_000] * 5, pause=0.02)
        await client.answer()

    assert lines == [
        {
            "event": "request refused",
            "code": "headers_too_large",
            "address": "address 127.0.0.1",
            "log_level": "warning",
        }
    ]


async def test_a_client_that_went_away_is_not_refused(served: Served, client: Client) -> None:
    with structlog.testing.capture_logs() as lines:
        await client.send(HEAD)
        await until(lambda: served.received)
        client.writer.close()
        await until(lambda: not served.connections)
        let_pass(PATIENCE)
        await asyncio.sleep(0.05)

    assert lines == []


async def test_a_client_that_only_then_listens_learns_why(world: World) -> None:
    def exchange(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(HEAD + b"y" * 5_000_000)
            return connection.recv(65536)

    async with serving(world) as served:
        answer = await asyncio.to_thread(exchange, served.port)

    assert answer.split()[1] == b"431"
