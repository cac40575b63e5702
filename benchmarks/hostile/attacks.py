"""What a hostile client does, with one account and one address. Each attack runs until it is cancelled."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

MIB: Final = 1024 * 1024
_READ: Final = 65536


@dataclass
class Hostile:
    """The hostile client.

    Attributes:
        token: Of its account.
        tasks: Its own, each with a description of 10,000 characters.
        statuses: How its requests were answered.
    """

    url: str
    token: str
    tasks: Sequence[str]
    statuses: Counter[str] = field(default_factory=Counter)

    async def connect(self, *, deaf: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection; a deaf one has a small buffer and never reads."""
        parts = urlsplit(self.url)
        connected = socket.socket()
        connected.setblocking(False)
        if deaf:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        address = (parts.hostname or "", parts.port or 0)
        await asyncio.get_running_loop().sock_connect(connected, address)
        reader, writer = await asyncio.open_connection(sock=connected)
        if deaf:
            writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's transport has it
        return reader, writer

    def head(self, method: str, path: str, length: int | None = None) -> bytes:
        """Return a request's head, with the account's token."""
        lines = [f"{method} {path} HTTP/1.1", "Host: taskflow", f"Authorization: Bearer {self.token}"]
        if length is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {length}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    async def request(self, method: str, path: str, body: bytes | None = None) -> None:
        """Send one request on a connection of its own and read the answer to its end."""
        writer = None
        try:
            reader, writer = await self.connect()
            length = None if body is None else len(body)
            head = self.head(method, path, length).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            writer.write(head + (body or b""))
            status = "no answer"
            while piece := await reader.read(_READ):
                status = piece[9:12].decode() if status == "no answer" else status
            self.statuses[status] += 1
        except OSError as error:
            self.statuses[type(error).__name__] += 1
        finally:
            if writer is not None:
                writer.close()

    async def keep_sending(self, method: str, path: str, body: bytes | None, at_a_time: int) -> None:
        """Send the same request over and over, so many at a time."""

        async def over_and_over() -> None:
            while True:
                await self.request(method, path, body)

        async with asyncio.TaskGroup() as group:
            for _ in range(at_a_time):
                group.create_task(over_and_over())


Attack = Callable[[Hostile], Awaitable[None]]


def _items(item: bytes) -> bytes:
    count = (MIB - 40) // (len(item) + 1)
    return b'{"action":"complete","tasks":[' + b",".join([item] * count) + b"]}"


def _unknown_fields() -> bytes:
    fields = b",".join(b'"%x":1' % number for number in range(95_000))
    return b'{"action":"complete","tasks":["a"],' + fields + b"}"


BODIES: Final = {
    "items that are numbers": _items(b"1"),
    "items that are objects": _items(b"{}"),
    "items that are empty texts": _items(b'""'),
    "items that are arrays": _items(b"[]"),
    "items with unknown fields": _items(b'{"a":1}'),
    "95,000 unknown fields": _unknown_fields(),
    "arrays in arrays": b"[" * (MIB - 1),
    "a number of a million digits": b'{"title":' + b"1" * (MIB - 20) + b"}",
    "a text of escapes": b'{"title":"' + b"\\u00e9" * ((MIB - 20) // 6) + b'"}',
}


def _body(content: bytes) -> Attack:
    async def attack(hostile: Hostile) -> None:
        await hostile.keep_sending("POST", "/tasks/batch", content, 4)

    return attack


async def _pipeline(hostile: Hostile) -> None:
    """Twenty connections send requests one behind the other and read no answer."""
    pieces = [b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n", hostile.head("GET", "/tasks?limit=100")]

    async def one(piece: bytes) -> None:
        while True:
            with suppress(OSError):
                _, writer = await hostile.connect(deaf=True)
                try:
                    while not writer.is_closing():
                        writer.write(piece * 1000)
                        await writer.drain()
                finally:
                    writer.transport.abort()
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(one(pieces[number % 2]))


def _unread(path: str, times: int, connections: int) -> Attack:
    async def attack(hostile: Hostile) -> None:
        async def one() -> None:
            while True:
                with suppress(OSError):
                    _, writer = await hostile.connect(deaf=True)
                    writer.write(hostile.head("GET", path) * times)
                    while not writer.is_closing():
                        await asyncio.sleep(0.2)
                        writer.write(b"")
                await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(one())

    return attack


def _connections(first: bytes, then: bytes) -> Attack:
    """Return an attack that holds 1,000 connections and says `then` on each, now and again."""

    async def attack(hostile: Hostile) -> None:
        async def one() -> None:
            while True:
                with suppress(OSError):
                    reader, writer = await hostile.connect()
                    writer.write(first)
                    ended = asyncio.ensure_future(reader.read())
                    while not ended.done():
                        await asyncio.wait([ended], timeout=1)
                        writer.write(then)
                    writer.close()
                    await ended
                await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as group:
            for _ in range(1000):
                group.create_task(one())

    return attack


async def _churn(hostile: Hostile) -> None:
    """Open and abort connections as fast as one process can."""

    async def one() -> None:
        while True:
            with suppress(OSError):
                _, writer = await hostile.connect()
                writer.transport.abort()
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(one())


async def _slow_bodies(hostile: Hostile) -> None:
    head = hostile.head("POST", "/tasks", MIB)
    await _connections(head, b" ")(hostile)


async def _unfinished_bodies(hostile: Hostile) -> None:
    """1,000 connections send all of a body but its last byte."""
    head = hostile.head("POST", "/tasks", MIB)
    await _connections(head + b" " * (MIB - 100), b"")(hostile)


async def _many_pipelines(hostile: Hostile) -> None:
    """1,000 connections send more requests than are answered in time."""
    await _connections(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000, b"")(hostile)


def _expensive(method: str, path: str, body: dict[str, object] | None = None) -> Attack:
    """Return an attack of 100 requests at a time; `{id}` and `tasks` are the client's own."""

    async def attack(hostile: Hostile) -> None:
        filled = None if body is None else {**body}
        if filled is not None and "tasks" in filled:
            filled["tasks"] = list(hostile.tasks[:1000])
        content = None if filled is None else json.dumps(filled).encode()
        await hostile.keep_sending(method, path.replace("{id}", hostile.tasks[0]), content, 100)

    return attack


_PASSWORDS: Final[dict[str, object]] = {
    "currentPassword": "correct horse battery staple",
    "newPassword": "correct horse battery staple 2",
}

ATTACKS: Final[dict[str, Attack]] = {
    "nothing": lambda _: asyncio.sleep(3600),
    **{f"body of 1 MiB: {name}": _body(content) for name, content in BODIES.items()},
    "pipelining, nothing read": _pipeline,
    "page's script, 300 connections unread": _unread("/api/static/swagger_bundle.js", 5, 300),
    "long lists, 100 connections unread": _unread("/tasks?limit=100", 3, 100),
    "1,000 connections that say nothing": _connections(b"", b""),
    "1,000 connections with slow heads": _connections(b"GET / HTTP/1.1\r\n", b"a: b\r\n"),
    "1,000 connections with slow bodies": _slow_bodies,
    "1,000 connections with unfinished bodies": _unfinished_bodies,
    "1,000 connections with pipelined requests": _many_pipelines,
    "100 readiness checks": _expensive("GET", "/health/ready"),
    "connections opened and aborted": _churn,
    "100 searches": _expensive("GET", "/tasks?search=zzzz"),
    "100 sorted lists": _expensive("GET", "/tasks?sort=-dueDate&limit=100"),
    "100 batches of 1,000 long texts": _expensive(
        "POST", "/tasks/batch", {"action": "update", "set": {"description": "\u044f" * 10_000}, "tasks": []}
    ),
    "100 changes of one task": _expensive("PATCH", "/tasks/{id}", {"title": "x", "priority": "LOW"}),
    "100 changes of a password": _expensive("POST", "/auth/password", _PASSWORDS),
    "100 log-ins": _expensive("POST", "/auth/login", {"email": "a@example.com", "password": "wrong one"}),
}
