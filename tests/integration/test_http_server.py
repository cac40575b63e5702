"""The HTTP API behind a real server: what only bytes on a socket show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from support.http_world import World, open_world
from support.serving import running
from taskflow_http import HttpOptions

OPTIONS = HttpOptions(request_timeout=90, head_timeout=60, body_timeout=60)


@pytest.fixture
async def port() -> AsyncIterator[tuple[World, int]]:
    async with open_world() as world, running(world.app(options=OPTIONS), OPTIONS, 60) as (served_at, _):
        yield world, served_at


async def exchange(port: int, sent: bytes) -> bytes:
    """Send bytes, of which the last request asks for the end, and return all that comes until then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(-1), 60)
    finally:
        writer.close()


@pytest.mark.parametrize("told", [True, False])
async def test_a_large_upload_learns_why_it_was_refused(port: tuple[World, int], *, told: bool) -> None:
    world, number = port

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b" " * 65536

    headers = world.headers("user") | {"Content-Type": "application/json"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{number}", headers=headers, timeout=60
    ) as client:
        answer = await client.post("/tasks", content=b" " * 5_242_880 if told else chunks())
        after = await client.post("/tasks", json={"title": "Still here"})

    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")
    assert after.status_code == 201


async def test_head_sends_no_body(port: tuple[World, int]) -> None:
    request = b"HEAD /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    request += b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    first, second = (await exchange(port[1], request)).split(b"HTTP/1.1 ")[1:]

    assert first.endswith(b"\r\n\r\n")
    assert second.endswith(b'{"status":"ok"}')


async def test_a_bodiless_answer_says_so(port: tuple[World, int]) -> None:
    world, number = port
    id = await world.task("user")
    token = world.token("user")
    lines = f" /tasks/{id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    requests = f'GET{lines}If-None-Match: "1"\r\n\r\nDELETE{lines}Connection: close\r\n\r\n'

    first, second = (await exchange(number, requests.encode())).split(b"HTTP/1.1 ")[1:]

    assert first.startswith(b"304")
    assert second.startswith(b"204")
    assert all(answer.endswith(b"\r\n\r\n") for answer in (first, second))
    assert b"transfer-encoding" not in (first + second).lower()


@pytest.mark.parametrize(
    "target",
    [
        b"/tasks/../health/live",
        b"/tasks/%2e%2e/users",
        b"//health/live",
        b"/%00",
        b"/tasks/\xff",
        b"/tasks%0a",
    ],
)
async def test_odd_targets_lead_nowhere(port: tuple[World, int], target: bytes) -> None:
    answer = await exchange(port[1], b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert answer.split()[1] in (b"404", b"400")


async def test_many_headers_are_refused(port: tuple[World, int]) -> None:
    headers = b"".join(b"x-%d: 1\r\n" % i for i in range(5000))

    answer = await exchange(
        port[1], b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n"
    )

    assert answer.split()[1] == b"431"
