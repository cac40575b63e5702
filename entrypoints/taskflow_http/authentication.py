"""Who asks, and how often that one may."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from taskflow_core import TaskFlowError, Unauthenticated
from taskflow_http.limits import check_decision, subject_of_user

if TYPE_CHECKING:
    from taskflow_core import Decision, Limit
    from taskflow_http.calls import Call
    from taskflow_http.operations import Operation, Services

_token: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}=*").fullmatch
"""RFC 6750 section 2.1."""


async def admit(call: Call, operation: Operation, services: Services) -> None:
    """Let a request pass that may, and leave in the call who asks and how the limit stands.

    After the token's signature two questions leave side by side: who asks (whether the session lives, and
    which role its user has at this moment), and whether that one asks too often. Nothing of it is remembered.

    Raises:
        Unauthenticated: The route takes a token, and there is none, or none to be believed.
        RateLimited: Too many requests.
        Unavailable: One of the two cannot be answered now.
    """
    if operation.secured:
        await _admit_user(call, operation, services)
    elif operation.limit is not None:
        await _count_address(call, services.limits.of(operation.limit), services)


async def _admit_user(call: Call, operation: Operation, services: Services) -> None:
    try:
        token = _bearer_token(call)
        claims = services.tokens.check(token, services.clock())
    except Unauthenticated:
        await _count_address(call, services.limits.api, services)
        raise
    if services.limits.api is None:
        call.actor = await services.use_cases.authenticate(token, call.request_id)
        return
    cost, fault = await _cost(call, operation, services)
    subject = subject_of_user(claims.user_id)
    taking = asyncio.create_task(_take(call, services.limits.api, subject, cost, services))
    try:
        call.actor = await services.use_cases.authenticate(token, call.request_id)
    except Exception:
        await taking
        raise
    except BaseException:
        taking.cancel()
        raise
    check_decision(await taking)
    if fault is not None:
        raise fault


async def _take(call: Call, limit: Limit, subject: str, cost: int, services: Services) -> Decision:
    call.decision = await services.limits.rate_limits.take(limit, subject, cost)
    return call.decision


async def _cost(call: Call, operation: Operation, services: Services) -> tuple[int, TaskFlowError | None]:
    """Return what the request counts for.

    Where its body tells, that is read first, and what is wrong with it is told later: after whether its
    sender may ask at all.
    """
    if operation.cost is None or operation.body is None:
        return 1, None
    try:
        call.body = await operation.body.read(call, services.options)
    except TaskFlowError as error:
        return 1, error
    return max(1, operation.cost(call.body)), None


async def _count_address(call: Call, limit: Limit | None, services: Services) -> None:
    if limit is not None:
        subject = services.addresses.subject_of(call)
        check_decision(await _take(call, limit, subject, 1, services))


def _bearer_token(call: Call) -> str:
    """Return the token in the `Authorization` header (RFC 6750)."""
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
    return token
