"""Heads and bodies that are too long or too slow, on a socket."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import structlog
import uvicorn

from support.byte_client import Client, connected
from support.http_world import World, open_world
from taskflow_http import HttpOptions, protocol, protocol_class

OPTIONS = HttpOptions(head_timeout=0.4, body_timeout=0.4, request_timeout=5)
HEAD = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
IDLE = 1


@asynccontextmanager
async def served(world: World, options: HttpOptions = OPTIONS, **replaced: Any) -> AsyncIterator[int]:
    """Serve a world as `taskflow serve` does; return the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        world.app(options=options, **replaced), log_config=None, access_log=False, lifespan="on", ws="none",
        proxy_headers=False, server_header=False, http=protocol_class(options), timeout_keep_alive=IDLE,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn tells by this alone
        await asyncio.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    """A connection to a server."""
    async with served(world) as port, connected(port) as opened:
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
    assert await client.closed() < 4


async def test_many_fields_in_a_short_head(client: Client) -> None:
    await client.send(HEAD + b"".join(b"x-%d: 1\r\n" % i for i in range(101)) + b"\r\n")

    assert (await client.answer())[0] == 431


async def test_a_byte_now_and_again_is_refused_in_time(client: Client) -> None:
    sending = asyncio.create_task(client.trickle(HEAD * 10))

    status, headers, problem = await client.answer()

    assert (status, problem["code"], headers["connection"]) == (408, "request_timeout", "close")
    assert 0.3 < time.monotonic() - client.begun < 5
    await sending
    assert await client.closed() < 5


async def test_a_second_head_is_not_waited_for_either(client: Client) -> None:
    await client.send(HEAD + b"\r\n" + HEAD)

    assert [(await client.answer())[0] for _ in range(2)] == [200, 408]


@pytest.mark.parametrize("sent", [b"", HEAD + b"\r\n"], ids=["nothing", "a request"])
async def test_a_connection_that_falls_silent_is_closed(client: Client, sent: bytes) -> None:
    await client.send(sent)

    assert await client.closed() < IDLE + 2


async def test_blank_lines_do_not_keep_a_connection(client: Client) -> None:
    await client.send(HEAD + b"\r\n")
    await client.answer()
    await client.trickle(b"\r\n" * 50)

    assert await client.closed() < 4


POST = b"POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def test_a_slow_body_is_refused_in_time(world: World, client: Client) -> None:
    await client.send(POST + f"Authorization: Bearer {world.token('user')}\r\n".encode())
    await client.send(b"Content-Length: 100\r\n\r\n")
    dripping = asyncio.create_task(client.trickle(b"x" * 99))

    status, headers, problem = await client.answer()

    assert (status, problem["code"], headers["connection"]) == (408, "request_timeout", "close")
    assert problem["requestId"] == headers["x-request-id"]
    await dripping
    assert await client.closed() < 4


async def test_what_is_left_of_an_answered_body_is_not_waited_for(client: Client) -> None:
    await client.send(POST + b"Content-Length: 100\r\n\r\n")

    assert (await client.answer())[0] == 401
    await client.trickle(b"x" * 99)
    assert await client.closed() < 4


@pytest.mark.parametrize("more", [True, False])
async def test_a_connection_lives_on_after_an_answered_body(client: Client, *, more: bool) -> None:
    await client.send(POST + b"Content-Length: 3\r\n\r\n")
    assert (await client.answer())[0] == 401
    await client.send(b"x", b"x", b"x", pause=0.05)
    if more:
        await client.send(HEAD + b"\r\n")
        assert (await client.answer())[0] == 200

    assert IDLE < await client.closed() < IDLE + 2


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
    async with served(world, replace(OPTIONS, body_timeout=5)) as port, connected(port) as client:
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
    assert await client.closed() < 4


async def test_a_body_that_breaks_off_its_framing(world: World, client: Client) -> None:
    head = POST + f"Authorization: Bearer {world.token('user')}\r\n".encode()
    with structlog.testing.capture_logs() as lines:
        await client.send(head + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n", pause=0.05)
        status, _, problem = await client.answer()
        await asyncio.sleep(0.05)

    assert (status, problem["code"]) == (400, "malformed_request")
    assert [line.get("status") for line in lines if line["event"] == "request"] == [499]


async def test_an_answer_under_way_is_not_run_into(world: World) -> None:
    find: Any = world.use_cases.find_user

    async def slow(*given: Any) -> Any:
        await asyncio.sleep(0.8)
        return await find(*given)

    async with served(world, find_user=slow) as port, connected(port) as client:
        await client.send(
            b"GET /users/me HTTP/1.1\r\nHost: x\r\n",
            f"Authorization: Bearer {world.token('user')}\r\n\r\nGET /unfinished".encode(),
        )
        status, headers, problem = await client.answer()

        assert (status, problem["name"]) == (200, "User")
        assert headers["connection"] == "close"
        assert await client.rest() == b""


async def test_a_refusal_is_logged_once(client: Client) -> None:
    with structlog.testing.capture_logs() as lines:
        await client.send(*[HEAD + b"y" * 50_000] * 5, pause=0.02)
        await client.answer()

    assert lines == [{"event": "request refused", "code": "headers_too_large", "log_level": "warning"}]


async def test_a_client_that_went_away_is_not_refused(client: Client) -> None:
    with structlog.testing.capture_logs() as lines:
        await client.send(HEAD)
        client.writer.close()
        await asyncio.sleep(OPTIONS.head_timeout + 0.2)

    assert lines == []


async def test_a_client_that_only_then_listens_learns_why(world: World) -> None:
    def exchange(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(HEAD + b"y" * 5_000_000)
            return connection.recv(65536)

    async with served(world) as port:
        answer = await asyncio.to_thread(exchange, port)

    assert answer.split()[1] == b"431"
