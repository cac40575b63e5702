"""Sends requests to processes that may be killed at any moment."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from benchmarks.faults.records import Attempt

PATIENCE: Final = 15
"""Seconds until nobody waits for an answer any more; the API gives up after 10."""


@dataclass(slots=True)
class Api:
    """One process of the API, and the connections to it that wait for their next request."""

    port: int
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def call(
        self,
        token: str,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str = "",
        into: list[Attempt] | None = None,
    ) -> Attempt:
        """Return what came of a request, which is sent once at most; it is never raised that it failed.

        It is noted in `into` before it is sent, so that one that is given up is not forgotten.
        """
        attempt = Attempt(str(uuid4()))
        if into is not None:
            into.append(attempt)
        content = b"" if body is None else json.dumps(body).encode()
        fields = [f"{method} {path} HTTP/1.1", "Host: taskflow", "User-Agent: faults"]
        fields += [f"Content-Length: {len(content)}", f"X-Request-ID: {attempt.request_id}"]
        fields += ["Content-Type: application/json"] * bool(content)
        fields += [f"Authorization: Bearer {token}"] * bool(token)
        fields += [f"Idempotency-Key: {key}"] * bool(key)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._exchange("\r\n".join(fields).encode() + b"\r\n\r\n" + content, attempt)
        except (OSError, EOFError, TimeoutError):
            attempt.status = None
        return attempt

    async def _exchange(self, request: bytes, attempt: Attempt) -> None:
        reader, writer = await self._connection()
        try:
            attempt.sent = True
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            _, _, rest = head.lower().partition(b"content-length: ")
            attempt.body = await reader.readexactly(int(rest.split(b"\r", 1)[0] or 0))
            attempt.status = int(head[9:12])
        except BaseException:
            writer.close()
            raise
        self.idle.append((reader, writer))

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self.idle:
            reader, writer = self.idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)


def content(attempt: Attempt) -> Any:
    """Return what an answer says."""
    return json.loads(attempt.body) if attempt.body else None
