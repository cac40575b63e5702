"""A wire between an instance and its PostgreSQL on which what is open falls silent, and what is new works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.commit_wire import connect, url_through
from support.wires import listening


@dataclass
class SilentWire:
    """Carries everything, but for what was open when it was told to fall silent.

    Attributes:
        url: Where the instance finds the database.
        opened: Connections so far.
        unheard: Of these, those on which something was said since they fell silent.
    """

    target: str
    url: str = ""
    opened: int = 0
    unheard: set[asyncio.Event] = field(default_factory=set)
    _open: set[asyncio.Event] = field(default_factory=set)

    def fall_silent(self) -> None:
        """Let nothing through any more on what is open; nobody is told, as where packets are dropped."""
        for silent in self._open:
            silent.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent = asyncio.Event()
        self._open.add(silent)
        self.opened += 1
        far_reader, far_writer = await connect(self.target)
        try:
            await asyncio.gather(
                self._carry(reader, far_writer, silent),
                self._carry(far_reader, writer, silent),
                return_exceptions=True,
            )
        finally:
            self._open.discard(silent)
            far_writer.close()
            writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silent: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if silent.is_set():
                self.unheard.add(silent)
                continue
            writer.write(data)
            await writer.drain()
        if not silent.is_set():
            writer.close()


@asynccontextmanager
async def open_silent_wire(database_url: str) -> AsyncIterator[SilentWire]:
    """Lay a wire to a database."""
    wire = SilentWire(database_url)
    async with listening(wire._connected) as port:
        wire.url = url_through(database_url, port)
        yield wire
