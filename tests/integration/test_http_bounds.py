"""What clients can make the server hold: requests that wait, responses that nobody reads, connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import structlog
import uvicorn

from support.byte_client import connected
from support.http_world import World, let_pass, open_world
from support.serving import running
from taskflow_http import HttpOptions
from taskflow_http.protocol import TURN_BYTES, WRITE_BUFFER
from taskflow_http.routes.documentation import _content

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"GET /api/static/swagger_bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE_BYTES = len(_content("swagger_bundle.js"))
PATIENCE = 600


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


@asynccontextmanager
async def serving(
    world: World, before: Callable[[], Awaitable[Any]] | None = None, **options: Any
) -> AsyncIterator[tuple[int, uvicorn.Server]]:
    """Serve a world; each request waits for `before`."""
    given = HttpOptions(head_timeout=PATIENCE, write_timeout=PATIENCE, **options)
    app = world.app(options=given)

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        if before is not None and scope["type"] == "http":
            await before()
        await app(scope, receive, send)

    async with running(waiting, given, 10 * PATIENCE) as served:
        yield served


def connections(server: uvicorn.Server) -> list[Any]:
    return list(server.server_state.connections)


async def until(true: Any) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


@asynccontextmanager
async def deaf(port: int, server: uvicorn.Server, *pieces: bytes) -> AsyncIterator[tuple[socket.socket, Any]]:
    """Connect as a client that asks and reads nothing; give its end and the server's.

    The kernel's buffers are small, so that what is not read is soon the server's to keep.
    """
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        mine = client.getsockname()
        await until(lambda: any(it.client == mine for it in connections(server)))
        connection: Any = next(it for it in connections(server) if it.client == mine)
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for piece in pieces:
            await loop.sock_sendall(client, piece)
        if pieces:
            await until(lambda: connection.flow.write_paused)
        yield client, connection


async def gone(connection: socket.socket) -> None:
    """Return once the server has ended the connection."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        try:
            while await loop.sock_recv(connection, 65536):
                pass
        except ConnectionResetError:
            return


REQUESTS = {
    "get": LIVE,
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "blank lines": b"\r\n" * 20 + LIVE,
    "body": b"GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n\r\n\r\n\r\n\r\n.",
    "chunks": b"GET /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nb: c\r\n\r\n",
    "upgrade": b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_requests_are_parsed_as_they_are_answered(world: World, request_: bytes) -> None:
    """However much comes at once, a handful waits, and what is not parsed stays with the client."""
    go_on = asyncio.Event()
    longest = answered = 0

    async def before() -> None:
        nonlocal longest, answered
        await go_on.wait()
        longest = max(longest, len(connection.pipeline))
        answered += 1

    async with serving(world, before) as (port, server), connected(port) as client:
        sending = asyncio.create_task(client.send(request_ * (20_000_000 // len(request_))))
        await until(lambda: server.server_state.tasks)
        (connection,) = connections(server)
        await asyncio.sleep(0.2)
        # The rest was not taken from the kernel, or waits as it came.
        assert 0 < len(connection.pipeline) < 10
        assert len(connection._held) <= 512 * 1024
        assert not sending.done()
        go_on.set()
        reading = asyncio.create_task(client.reader.read(-1))
        await until(lambda: answered > 200)
        assert longest < 10
        client.writer.transport.abort()
        await asyncio.gather(sending, reading, return_exceptions=True)
        await until(lambda: not server.server_state.connections and not server.server_state.tasks)


async def test_all_pipelined_requests_are_answered(world: World) -> None:
    async with serving(world) as (port, _), connected(port) as client:
        sending = asyncio.create_task(client.send(LIVE * 3000))
        for _ in range(3000):
            assert (await client.answer())[0] == 200
        await sending


@pytest.mark.parametrize(
    "flood",
    [LIVE * 10_000, b"\r\n" * 20_000, b"1\r\nx\r\n" * 50_000, b"a: b\r\n" * 8_000],
    ids=["requests", "blank lines", "tiny chunks", "fields"],
)
async def test_others_have_their_turn(world: World, monkeypatch: pytest.MonkeyPatch, flood: bytes) -> None:
    """Of what one client sends at once, no more than a little is parsed before the loop turns."""
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" if flood[:1] == b"1" else b""
    async with serving(world) as (port, server), connected(port) as client:
        await until(lambda: server.server_state.connections)
        (connection,) = connections(server)
        turn, most = 0, 0
        parse = connection._parse

        def counted(data: bytes) -> None:
            nonlocal turn, most
            turn += len(data)
            most = max(most, turn)
            parse(data)

        async def count_turns() -> None:
            nonlocal turn
            while True:
                turn = 0
                await asyncio.sleep(0)

        turning = asyncio.create_task(count_turns())
        monkeypatch.setattr(connection, "_parse", counted)
        sending = asyncio.create_task(client.send(head + flood))
        await until(lambda: most)
        await asyncio.sleep(0.2)
        turning.cancel()
        client.writer.transport.abort()
        await asyncio.gather(sending, turning, return_exceptions=True)

    assert 0 < most <= 2 * TURN_BYTES


async def test_a_body_of_known_length_is_parsed_as_it_arrives(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that is refused and dropped costs little: nothing in it is looked for, and none of it waits."""
    async with serving(world) as (port, server), connected(port) as client:
        await until(lambda: server.server_state.connections)
        (connection,) = connections(server)
        arrived, parsed = 0, 0
        receive, parse = connection.data_received, connection._parse

        def received(data: bytes) -> None:
            nonlocal arrived
            arrived += 1
            receive(data)

        def counted(data: bytes) -> None:
            nonlocal parsed
            parsed += 1
            parse(data)

        monkeypatch.setattr(connection, "data_received", received)
        monkeypatch.setattr(connection, "_parse", counted)
        await client.send(b"POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        await client.send(b"\r\n\r\n" * 250_000)
        await until(lambda: connection._in_head)

    assert parsed <= arrived + 20


async def test_trailers_without_end_are_refused_early(world: World) -> None:
    async with serving(world) as (port, _), connected(port) as client:
        head = b"POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        head += f"Authorization: Bearer {world.token('user')}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        await client.send(head + b"1\r\n{\r\n0\r\nx: ")
        sending = asyncio.create_task(client.send(b"y" * 100_000))

        assert (await client.answer())[0] == 413
        await asyncio.gather(sending, return_exceptions=True)


async def test_an_answer_that_nobody_reads_is_given_up(world: World) -> None:
    async with serving(world) as (port, server), deaf(port, server, LARGE * 5) as (client, connection):
        # What the client has not read is held once, by piece; the rest is nobody's copy.
        assert connection.transport.get_write_buffer_size() < 3 * WRITE_BUFFER
        with structlog.testing.capture_logs() as lines:
            let_pass(PATIENCE)
            await until(lambda: not server.server_state.connections)
        await gone(client)
        assert not server.server_state.tasks

    aborted = [line for line in lines if line["event"] == "connection aborted"]
    assert [(line["reason"], line["address"]) for line in aborted] == [
        ("not read in time", "address 127.0.0.1")
    ]


async def test_a_byte_a_second_does_not_hold_an_answer(world: World) -> None:
    async with serving(world) as (port, server), deaf(port, server, LARGE) as (client, _):
        for _ in range(4):
            assert await asyncio.get_running_loop().sock_recv(client, 1)
            let_pass(0.3 * PATIENCE)
        await until(lambda: not server.server_state.connections)
        await gone(client)


async def test_who_reads_in_time_gets_all_of_it(world: World) -> None:
    """Each piece has its own time, so that all of it may take much longer."""
    async with serving(world) as (port, server), deaf(port, server, LARGE) as (client, connection):
        for _ in range(4):
            await until(lambda: connection.flow.write_paused)
            let_pass(0.4 * PATIENCE)
            received = 0
            while received < 3 * WRITE_BUFFER:
                received += len(await asyncio.get_running_loop().sock_recv(client, 65536))
        assert not connection.transport.is_closing()


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"], ids=["kept", "closing"])
async def test_the_end_of_an_answer_is_not_held_either(world: World, close: bytes) -> None:
    """Less than what stops the writing is left, and the connection is about to be closed."""
    async with serving(world) as (port, server):
        ask = LARGE.replace(b"\r\n\r\n", b"\r\n" + close + b"\r\n")
        async with deaf(port, server, ask) as (client, connection):
            loop = asyncio.get_running_loop()
            while connection._is_busy():
                await loop.sock_recv(client, 4096)
            assert connection.transport.get_write_buffer_size()
            let_pass(11 * PATIENCE)
            await asyncio.sleep(0.05)
            let_pass(PATIENCE)
            await until(lambda: not server.server_state.connections)


async def test_the_slowest_go_where_all_hold_too_much(world: World) -> None:
    async with AsyncExitStack() as stack:
        port, server = await stack.enter_async_context(serving(world, unread_max=int(2.5 * LARGE_BYTES)))
        clients = []
        for _ in range(6):
            client, _ = await stack.enter_async_context(deaf(port, server, LARGE))
            clients.append(client)
            let_pass(5)
        await until(lambda: len(connections(server)) == 2)
        for client in clients[:4]:
            await gone(client)
        assert 0 < sum(it.unread for it in connections(server)) <= 2.5 * LARGE_BYTES
        # Others are served meanwhile, large answers too.
        async with connected(port) as other:
            await other.send(LARGE)
            await other.reader.readexactly(LARGE_BYTES)


def test_a_file_is_in_memory_once() -> None:
    assert _content("swagger_bundle.js") is _content("swagger_bundle.js")


async def test_a_client_that_does_not_read_is_not_read_from(world: World) -> None:
    async with serving(world) as (port, server), deaf(port, server, LARGE + LARGE) as (client, connection):
        before = server.server_state.total_requests
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, LIVE * 100)
        await asyncio.sleep(0.1)
        assert server.server_state.total_requests == before
        assert len(connection.pipeline) <= 1


@pytest.mark.parametrize(
    "sent",
    [b"", LIVE[:10], LIVE, b"POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"],
    ids=["nothing", "a dribble", "a request", "a body to come"],
)
async def test_idle_connections_make_room(world: World, sent: bytes) -> None:
    async with AsyncExitStack() as stack:
        port, server = await stack.enter_async_context(serving(world, connections_max=10))
        with structlog.testing.capture_logs() as lines:
            first = await stack.enter_async_context(connected(port))
            await first.send(sent)
            for _ in range(30):
                client = await stack.enter_async_context(connected(port))
                await client.send(sent)
            await first.closed()
            async with connected(port) as other:
                await other.send(LIVE)
                assert (await other.answer())[0] == 200
            await until(lambda: len(server.server_state.connections) <= 10)

    # One line when it begins, however many there are.
    assert [line["event"] for line in lines].count("too many connections") == 1


async def test_a_connection_more_than_there_is_work_for_is_refused(world: World) -> None:
    """Nobody who has asked and waits for an answer is cut off for somebody else."""
    go_on = asyncio.Event()
    async with AsyncExitStack() as stack:
        port, server = await stack.enter_async_context(serving(world, go_on.wait, connections_max=3))
        busy = [await stack.enter_async_context(connected(port)) for _ in range(3)]
        for client in busy:
            await client.send(LIVE)
        await until(lambda: len(server.server_state.tasks) == 3)
        extra = await stack.enter_async_context(connected(port))
        status, headers, problem = await extra.answer()
        assert (status, problem["code"], headers["retry-after"]) == (503, "overloaded", "1")
        await extra.closed()
        go_on.set()
        for client in busy:
            assert (await client.answer())[0] == 200


async def test_who_pipelines_makes_room_for_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two requests that came together a connection may be ended, as any that waits."""
    monkeypatch.setattr("taskflow_http.connections.PIPELINED_MAX", 0)
    async with AsyncExitStack() as stack:
        port, server = await stack.enter_async_context(serving(world, connections_max=3))
        for _ in range(3):
            client = await stack.enter_async_context(connected(port))
            await client.send(LIVE * 3)
            assert (await client.answer())[0] == 200
        async with connected(port) as other:
            await other.send(LIVE)
            assert (await other.answer())[0] == 200
        for connection in connections(server):
            connection.transport.abort()
