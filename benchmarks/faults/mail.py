"""A mail server that keeps what it is sent; it takes its time, and now and then asks to be sent it again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from typing import Any, Final
from uuid import UUID

from aiosmtpd.smtp import SMTP, Envelope

from benchmarks.faults.records import Sent

HEADER: Final = "X-TaskFlow-Notice"
_PUT_OFF_EACH: Final = 50
_SLOW: Final = 0.1
"""Seconds until it says that it took a mail, at most: for so long who sent it may be killed."""


class Sink:
    """Takes mails (a handler of aiosmtpd).

    Args:
        mails: Where they are kept.
        put_off_each: The first mail of this many is refused for now; 0 takes all.
    """

    def __init__(self, mails: list[Sent], put_off_each: int = _PUT_OFF_EACH) -> None:
        self._mails = mails
        self._each = put_off_each
        self._number = 0
        self._draw = random.Random(put_off_each)
        self.put_off = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: ARG002, N802
        self._number += 1
        if self._each and self._number % self._each == 0:
            self.put_off += 1
            return "451 Not now"
        content = envelope.content
        assert isinstance(content, bytes)
        notice = UUID(str(BytesHeaderParser().parsebytes(content)[HEADER]).strip().strip("<>"))
        self._mails += [Sent(notice, to, datetime.now(UTC)) for to in envelope.rcpt_tos]
        await asyncio.sleep(self._draw.uniform(0, _SLOW))
        return "250 OK"


@asynccontextmanager
async def receiving(sink: Sink) -> AsyncIterator[int]:
    """Yield the port on which mails are taken."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(sink, hostname="localhost", loop=loop), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
