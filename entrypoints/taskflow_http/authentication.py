"""Who asks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from taskflow_core import Actor, Unauthenticated

if TYPE_CHECKING:
    from taskflow_core.ports.security import AccessTokens
    from taskflow_core.ports.time import Clock
    from taskflow_http.calls import Call

_token: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}=*").fullmatch
"""RFC 6750 section 2.1."""


async def authenticate(call: Call, tokens: AccessTokens, clock: Clock) -> Actor:
    """Return who asks, by the bearer token in the `Authorization` header (RFC 6750).

    This is the one place that decides it: what a token alone cannot tell (whether the session is
    live, the role as it is now) is to be asked here.

    Raises:
        Unauthenticated: There is no token, or none to be believed.
    """
    given = call.header(b"authorization")
    if given is None:
        raise Unauthenticated
    scheme, _, value = given.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("A bearer token is required.")
    call.token_given = True
    token = value.strip(" ")
    if not _token(token):
        raise Unauthenticated("The token is not valid (any more).")
    claims = tokens.check(token, clock())
    return Actor.of(claims.user_id, claims.role, call.request_id)
