"""Rate limits at the edge: by address where nobody is signed in, by user where somebody is.

What a refused token costs is counted against the address that sent it, after the fact: whoever holds a good
token is served whatever others behind the same address do, and whoever tries bad ones is soon told 429
in place of 401. (A signature of 256 bits is not guessed at any rate: what this limits is work, not luck.)
A token that is genuine but whose session has ended counts against its user, whom alone it names.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from taskflow_core import Limit, Origin, RateLimited
from taskflow_core.ports.rate_limits import RateLimits

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_core import Decision
    from taskflow_http.calls import Call
    from taskflow_http.replies import Headers

RouteClass = Literal["login", "refresh", "register", "password", "api"]
"""What routes are limited as."""

BYTES_OF_A_REQUEST: Final = 16 * 1024
"""A request counts as one more for each of these in its body, an item of a batch for those it writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of what; None lifts a limit.

    Attributes:
        rate_limits: Counts. Where its store cannot be reached it is expected to count by itself: what it
            raises refuses the request.
        login: Log-ins, by address.
        refresh: Refreshes, by address.
        register: Registrations, by address.
        password: Changes of one's own password, by user, those that fail too.
        api: Everything that takes a token, by user; a batch counts for its items. Tokens that are not
            believed, by address.
    """

    rate_limits: RateLimits
    login: Limit | None
    refresh: Limit | None
    register: Limit | None
    password: Limit | None
    api: Limit | None

    def of(self, route_class: RouteClass) -> Limit | None:
        """Return the limit of a class of routes."""
        limit: Limit | None = getattr(self, route_class)
        return limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """What is made of addresses; none goes further into the application.

    Attributes:
        client: The address of the client, from the peer's and the header fields (ASGI's: names in lower
            case), of which only what trusted proxies wrote counts. None where it is not known.
        origin: What is remembered of an address and a user agent.
        subject: What requests of an address are counted under.
    """

    client: Callable[[str | None, Iterable[tuple[bytes, bytes]]], str | None]
    origin: Callable[[str | None, str | None], Origin]
    subject: Callable[[str | None], str]

    def origin_of(self, call: Call) -> Origin:
        """Return where a request comes from."""
        agent = call.header(b"user-agent")
        return self.origin(self._client(call), None if agent is None else _text(agent))

    def hash_of(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the keyed hash of a client's address, as sessions and security events have it."""
        return self.origin(self.client(peer, headers), None).address

    def subject_of(self, call: Call) -> str:
        """Return what a request is counted under where nobody is signed in."""
        return f"address:{self.subject(self._client(call))}"

    def _client(self, call: Call) -> str | None:
        peer = call.scope.get("client")
        return self.client(None if peer is None else peer[0], call.scope["headers"])


def subject_of_user(user_id: UUID) -> str:
    """Return what the requests of a user are counted under."""
    return f"user:{user_id}"


def check_decision(decision: Decision) -> None:
    """Raise `RateLimited` where a request may not pass."""
    if not decision.allowed:
        raise RateLimited(decision.retry_after)


def limit_fields(decision: Decision) -> Headers:
    """Return the fields that tell where a client stands (draft-ietf-httpapi-ratelimit-headers)."""
    policy, name = _told(decision.limit)
    state = b"%b;r=%d;t=%d" % (name, decision.remaining, math.ceil(decision.reset_after))
    return [policy, (b"ratelimit", state)]


@functools.lru_cache(100)
def _told(limit: Limit) -> tuple[tuple[bytes, bytes], bytes]:
    """Return the field that tells the limit, and its name as structured fields have it."""
    name = f'"{limit.name}"'.encode("ascii")
    policy = b"%b;q=%d;w=%d" % (name, limit.rate.count, limit.rate.seconds)
    return (b"ratelimit-policy", policy), name


def _text(field: str) -> str:
    """Return a header field as UTF-8 where it is, and else as ISO 8859-1 (RFC 9110 section 5.5)."""
    try:
        return field.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return field
