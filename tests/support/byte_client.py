"""A client of HTTP that sends bytes as it pleases; its limits on time are against what hangs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any


class Client:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(pause)

    async def rest(self) -> bytes:
        """Return all that comes until the server ends the connection."""
        async with asyncio.timeout(60):
            return await self.reader.read(-1)

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Return the next answer."""
        async with asyncio.timeout(60):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")[1:-2]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head.split()[1]), headers, json.loads(body or b"null")

    async def closed(self) -> None:
        """Return once the server has ended the connection."""
        try:
            await self.rest()
        except TimeoutError:
            raise
        except OSError:
            pass

    async def trickle(self, text: bytes) -> None:
        """Send a byte now and again until nobody takes it."""
        with suppress(OSError):
            for number in range(len(text)):
                await self.send(text[number : number + 1], pause=0.05)
                if self.reader.at_eof():
                    return


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    """Connect to a server on this machine."""
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield client
    finally:
        client.writer.close()
        # What was not sent yet nobody waits for.
        client.writer.transport.abort()
        await asyncio.sleep(0)
