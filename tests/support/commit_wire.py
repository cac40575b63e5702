"""A wire between an instance and its PostgreSQL that stops just before a COMMIT gets there, or just after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from support.wires import listening

Place = Literal["before", "after"]


@dataclass
class CommitWire:
    """Carries everything, until it is told to stop at the next COMMIT.

    Attributes:
        url: Where the instance finds the database.
        reached: Set once a COMMIT came by: PostgreSQL has it, where the wire was to stop after that.
    """

    target: str
    url: str = ""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _place: Place | None = None
    _held: bool = False

    def stop_at_commit(self, place: Place) -> None:
        """Let nothing through from before, or from after, the next COMMIT on."""
        self._place = place

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await connect(self.target)
        await asyncio.gather(self._ask(reader, far_writer), self._answer(far_reader, writer))

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1_048_576):
                commits = self._place is not None and b"COMMIT" in data
                self._held = self._held or commits
                if not self._held or (commits and self._place == "after"):
                    writer.write(data)
                    await writer.drain()
                if commits:
                    self.reached.set()
        finally:
            # So PostgreSQL learns that the instance is gone.
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if not self._held:
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def open_commit_wire(database_url: str) -> AsyncIterator[CommitWire]:
    """Lay a wire to a database."""
    wire = CommitWire(database_url)
    async with listening(wire._connected) as port:
        wire.url = url_through(database_url, port)
        yield wire


def url_through(database_url: str, port: int) -> str:
    """Return the URL of a database by way of a port of this machine."""
    parts = urlsplit(database_url)
    credentials = parts.netloc.rpartition("@")[0]
    return f"postgresql://{credentials}@127.0.0.1:{port}{parts.path}?sslmode=disable"


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the two ends of a new connection to the PostgreSQL at `url`."""
    parts = urlsplit(url)
    directory = parse_qs(parts.query).get("host", [""])[0]
    if directory.startswith("/"):
        port = parse_qs(parts.query).get("port", ["5432"])[0]
        return await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.{port}")
    return await asyncio.open_connection(parts.hostname, parts.port or 5432)
