"""Cross-origin requests (Fetch standard): refused, as browsers do by themselves, unless origins are named.

Tokens travel in a header field, never in a cookie, so credentials are not allowed to anybody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from taskflow_http.replies import NO_STORE, Headers, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskflow_http.calls import Call

_origin: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?").fullmatch
_VARY: Final = (b"vary", b"Origin")
_METHODS: Final = b"GET, HEAD, POST, PATCH, DELETE"
_TAKEN: Final = (
    b"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-ID, traceparent"
)
_EXPOSED: Final = (
    b"ETag, Idempotent-Replayed, Link, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, "
    b"X-Request-ID"
)
_PREFLIGHT_SECONDS: Final = b"600"


class Cors:
    """Tells browsers whose pages may call.

    Args:
        origins: As browsers write them, such as https://app.example.com; compared exactly.

    Raises:
        ValueError: One is no such origin; `*` and `null` are none.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        allowed = tuple(origins)
        for origin in allowed:
            if not _origin(origin):
                raise ValueError(f"{origin!r} is no origin such as https://app.example.com")
        # What goes out is what was configured, never what came in.
        self._allowed = {origin: origin.encode("ascii") for origin in allowed}

    def fields(self, call: Call) -> Headers:
        """Return the fields of an answer; none where no origin is named."""
        if not self._allowed:
            return []
        origin = self._allowed.get(call.header(b"origin") or "")
        if origin is None:
            return [_VARY]
        return [
            _VARY,
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
        ]

    def preflight(self, call: Call) -> Reply | None:
        """Return the answer to a preflight of a named origin; None for any other request."""
        if not self._allowed or call.scope["method"] != "OPTIONS":
            return None
        if call.header(b"access-control-request-method") is None:
            return None
        if call.header(b"origin") not in self._allowed:
            return None
        headers = [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _TAKEN),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ]
        return Reply(204, cache=NO_STORE, headers=headers)
