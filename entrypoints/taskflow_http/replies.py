"""Answers: what handlers return, and how they become ASGI messages."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from taskflow_http.security_fields import NOTHING

if TYPE_CHECKING:
    from starlette.types import Send

Headers = list[tuple[bytes, bytes]]

JSON: Final = b"application/json"
PROBLEM_JSON: Final = b"application/problem+json"
PRIVATE: Final = b"private, no-cache"
"""May be kept by the caller, who asks each time whether it is still so (by ETag)."""
NO_STORE: Final = b"no-store"

encode: Final = msgspec.json.Encoder().encode

PIECE_BYTES: Final = 64 * 1024
"""Bytes of a body that are handed to the server at a time."""


@dataclass(slots=True)
class Reply:
    """An answer, whole.

    Attributes:
        body: A `memoryview` where others share the bytes, which are then never copied.
        headers: Beyond those that every answer has.
        policy: Its content security policy.
    """

    status: int
    body: bytes | memoryview = b""
    content_type: bytes | None = None
    cache: bytes = PRIVATE
    headers: Headers = field(default_factory=list)
    policy: bytes = NOTHING


def json_reply(
    value: Any, *, status: int = 200, cache: bytes = PRIVATE, headers: Headers | None = None
) -> Reply:
    """Return an answer with `value` as JSON."""
    return Reply(status, encode(value), JSON, cache, headers or [])


async def send_reply(reply: Reply, fields: Headers, send: Send, *, with_body: bool) -> None:
    """Send an answer with these fields beside its own.

    The length is told for HEAD too, where the body stays behind.
    """
    headers = [(b"cache-control", reply.cache), *reply.headers, *fields]
    if reply.content_type is not None:
        headers.append((b"content-type", reply.content_type))
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if not with_body or len(reply.body) <= PIECE_BYTES:
        await send({"type": "http.response.body", "body": reply.body if with_body else b""})
        return
    # The server takes the next piece when the client has read the one before, which is free by then.
    pieces = deque(reply.body[at : at + PIECE_BYTES] for at in range(0, len(reply.body), PIECE_BYTES))
    reply.body = b""
    while pieces:
        piece = pieces.popleft()
        await send({"type": "http.response.body", "body": piece, "more_body": bool(pieces)})
