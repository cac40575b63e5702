"""A wire between an instance and its Redis that can be cut: nothing is refused, and nothing arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit


@dataclass
class Wire:
    """Carries bytes to and from a Redis, until it is cut.

    Attributes:
        url: Where the instance finds Redis.
        carried: Bytes that the instance sent and that were let through.
    """

    target: str
    url: str = ""
    carried: int = 0
    _whole: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        """Let nothing through any more; connections stay open, as in a partition."""
        self._whole.clear()

    def mend(self) -> None:
        """Let through what waits and what comes."""
        self._whole.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._whole.wait()
            far_reader, far_writer = await _connect(self.target)
            await asyncio.gather(
                self._carry(reader, far_writer, counts=True), self._carry(far_reader, writer)
            )
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool = False
    ) -> None:
        try:
            while data := await reader.read(65536):
                await self._whole.wait()
                # Before anybody else has a turn, to cut it perhaps.
                self.carried += len(data) if counts else 0
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def open_wire(redis_url: str) -> AsyncIterator[Wire]:
    """Lay a wire to a Redis."""
    wire = Wire(redis_url)
    wire.mend()
    parts = urlsplit(redis_url)
    credentials = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    database = parse_qs(parts.query).get("db", ["0"])[0] if parts.scheme == "unix" else parts.path.strip("/")
    async with listening(wire._connected) as port:
        wire.url = urlunsplit(("redis", f"{credentials}127.0.0.1:{port}", f"/{database or 0}", "", ""))
        yield wire


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]],
) -> AsyncIterator[int]:
    """Serve each connection to a port, which this returns; at the end all are cut off."""
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return await asyncio.open_unix_connection(unquote(parts.path))
    return await asyncio.open_connection(parts.hostname, parts.port or 6379)
