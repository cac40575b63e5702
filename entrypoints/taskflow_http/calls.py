"""One request on its way through: what is known of it, and its body once it is read."""

from __future__ import annotations

import asyncio
import re
import secrets
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from taskflow_http.errors import (
    ContentTooLarge,
    HeadersTooLarge,
    MalformedRequest,
    NotImplementedHere,
    RequestTimeout,
    RouteNotFound,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from starlette.types import Receive, Scope

    from taskflow_core import Actor, Decision
    from taskflow_http.idempotency import Mark
    from taskflow_http.parameters import Query
    from taskflow_http.replies import Reply

CALL: Final = "taskflow.call"
"""The key of the scope under which the call travels through Starlette's router."""

HEADERS_MAX: Final = 100
HEADER_BYTES_MAX: Final = 32 * 1024
"""uvicorn takes 2 MB of header fields and 20,000 of them; nobody needs that."""

_host: Final = re.compile(
    r"(?:\[(?:(?P<v6>[0-9A-Fa-f:.]+)|v[0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\]"
    r"|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]*)?"
).fullmatch
"""RFC 9110 section 7.2: a host, which is not empty in a URI of http (section 4.2.1), and perhaps a port."""
_sane_request_id: Final = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch
_traceparent: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
).fullmatch


def _is_host(text: str) -> bool:
    found = _host(text)
    if found is None:
        return False
    try:
        return found["v6"] is None or IPv6Address(found["v6"]) is not None
    except ValueError:
        return False


class Disconnected(Exception):
    """The client went away before its body was whole; nobody waits for an answer."""


class Call:
    """A request.

    Attributes:
        request_id: The client's, where it is sane; else a new one.
        trace_id: Of the W3C trace that the request belongs to.
        route: The template of the route it came to, for logs.
        actor: Who asks; set by `authenticate`, on routes that are not open to all.
        token_given: Whether a bearer token came with it, believed or not.
        decision: How the rate limit stands that it was counted against; None for none.
        receiving: Whether it waits for the client's body right now.
        body_wanted: Whether the body was asked for.
        content: The body's bytes, on routes that take one.
        room: Bytes of the body that are counted in `Bodies`.
        body: What `Body.decode` made of them.
        mark: What the request is known by, if it is to be done once; only on routes that take such a key.
    """

    __slots__ = (
        "_headers", "actor", "body", "body_wanted", "content", "decision", "mark", "query", "receive",
        "receiving", "reply", "request_id", "room", "route", "scope", "token_given", "trace_id",
    )  # fmt: skip

    actor: Actor
    query: Query
    reply: Reply

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.route: str | None = None
        self.token_given = False
        self.decision: Decision | None = None
        self.content = b""
        self.room = 0
        self.body: Any = None
        self.mark: Mark | None = None
        self.receiving = self.body_wanted = False
        self._headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            # RFC 9110 section 5.3: a field that comes several times is one list.
            before = self._headers.get(name)
            self._headers[name] = value if before is None else before + b", " + value
        self.request_id = self._request_id()
        self.trace_id = self._trace_id()

    def header(self, name: bytes) -> str | None:
        """Return a header field by its name in lower case."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def body_may_stay_out(self) -> bool:
        """Whether nobody knows if a body follows: the client waits to be asked for it, and was not.

        RFC 9110 section 10.1.1: it may then send the body, or leave it out.
        """
        if self.body_wanted or b"expect" not in self._headers:
            return False
        return b"transfer-encoding" in self._headers or self._headers.get(b"content-length", b"0") != b"0"

    @property
    def id(self) -> UUID:
        """Return the id in the path."""
        found: UUID = self.scope["path_params"]["id"]
        return found

    def link(self, path: str) -> bytes:
        """Return a reference to a path of this API, wherever the API is mounted."""
        root: str = self.scope.get("root_path", "")
        # Where the host's path has parameters, it holds what the client wrote, decoded.
        return (quote(root, safe="/:@!$&'()*+,;=") + path).encode("utf-8")

    def check(self) -> None:
        """Refuse what no route is to see.

        Raises:
            HeadersTooLarge: The header fields are too many or too long.
            MalformedRequest: `Host` is missing, there several times, or no host (RFC 9112 section 3.2).
            NotImplementedHere: The body is in a transfer coding other than chunked (RFC 9112 section 6.1).
            RouteNotFound: The path ends in a newline: the router's patterns end in `$`, which Python
                lets match before it. Or it has an encoded slash, which is not the slash that parts it.
        """
        if self.scope["path"].endswith("\n"):
            raise RouteNotFound
        fields = self.scope["headers"]
        if len(fields) > HEADERS_MAX or sum(len(n) + len(v) for n, v in fields) > HEADER_BYTES_MAX:
            raise HeadersTooLarge
        host = self._headers.get(b"host")
        if host is None and self.scope["http_version"] != "1.0":
            raise MalformedRequest("The request has no Host header field.")
        if host is not None and not _is_host(host.decode("latin-1")):
            raise MalformedRequest("The Host header field is not one host.")
        if self._headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            raise NotImplementedHere("Of transfer codings this server knows chunked alone.")
        if b"%" in (path := self.scope.get("raw_path") or b"") and b"%2f" in path.lower():
            raise RouteNotFound

    async def read_body(self, most: int, seconds: float, took: Callable[[int], None]) -> bytes:
        """Return the body, and keep it as `content`.

        Args:
            most: Bytes that it may have.
            seconds: How long it may take to arrive.
            took: Told how many bytes there are so far; raises where no more are to be taken.

        Raises:
            ContentTooLarge: It has more than `most` bytes, or says so.
            RequestTimeout: It was not whole after so many seconds.
            Disconnected: The client went away.
        """
        told = self._headers.get(b"content-length", b"0")
        if told.isdigit() and (len(told) > len(str(most)) or int(told) > most):
            raise ContentTooLarge(f"A body has at most {most} bytes.")
        self.receiving = self.body_wanted = True
        try:
            async with asyncio.timeout(seconds):
                self.content = await self._received(most, took)
        except TimeoutError:
            raise RequestTimeout from None
        self.receiving = False
        return self.content

    async def _received(self, most: int, took: Callable[[int], None]) -> bytes:
        chunks, size, more = [], 0, True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk = message.get("body", b"")
            chunks.append(chunk)
            size += len(chunk)
            if size > most:
                raise ContentTooLarge(f"A body has at most {most} bytes.")
            took(size)
            more = message.get("more_body", False)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _request_id(self) -> str:
        given = self.header(b"x-request-id")
        return given if given is not None and _sane_request_id(given) else secrets.token_hex(16)

    def _trace_id(self) -> str | None:
        given = self.header(b"traceparent")
        match = None if given is None else _traceparent(given)
        return None if match is None else match.group(1)
