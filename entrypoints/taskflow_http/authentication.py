"""Who asks, and how often that one may."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskflow_core import TaskFlowError, Unauthenticated
from taskflow_http.limits import BYTES_OF_A_REQUEST, check_decision, subject_of_user

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from taskflow_core import Decision, Limit
    from taskflow_http.bodies import Body
    from taskflow_http.calls import Call
    from taskflow_http.operations import Operation, Services

_token: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}=*").fullmatch
"""RFC 6750 section 2.1."""


async def admit(call: Call, operation: Operation, services: Services) -> None:
    """Let a request pass that may, and leave in the call who asks, how the limit stands, and the body.

    The token's signature is checked, then the body is received, undecoded. Then two questions leave
    side by side: who asks (whether the session lives, and which role its user has at this moment), and
    whether that user asks too often. So no authority is older than the body, and nobody unknown has a body
    decoded. Where a body decides what its request counts for, it is decoded between the two.

    Raises:
        Unauthenticated: The route takes a token, and there is none, or none to be believed.
        RateLimited: Too many requests.
        Unavailable: One of the two cannot be answered now.
    """
    if operation.secured:
        await _admit_user(call, operation, services)
    elif operation.limit is not None:
        await _count_address(call, services.limits.of(operation.limit), services)
    if operation.body is not None and not operation.secured:
        await _receive(call, services, services.addresses.subject_of(call))


async def _admit_user(call: Call, operation: Operation, services: Services) -> None:
    try:
        token = _bearer_token(call)
        claims = services.tokens.check(token, services.clock())
    except Unauthenticated:
        await _count_address(call, services.limits.api, services)
        raise
    fault = None
    limit, subject = services.limits.api, subject_of_user(claims.user_id)
    if operation.body is not None:
        try:
            await _receive(call, services, subject)
        except TaskFlowError as error:
            fault = error  # reported once the sender is known and counted
    if limit is None:
        call.actor = await services.use_cases.authenticate(token, call.request_id)
    elif operation.body is None or operation.cost is None or fault is not None:
        cost = 1 + len(call.content) // BYTES_OF_A_REQUEST
        taking = _take(call, limit, subject, cost, services)
        await _authenticate_beside(taking, call, token, services)
    else:
        try:
            call.actor = await services.use_cases.authenticate(token, call.request_id)
        except Unauthenticated:
            await _take(call, limit, subject, 1, services)
            raise
        cost, fault = _cost(call, operation.body, operation.cost)
        check_decision(await _take(call, limit, subject, cost, services))
    if fault is not None:
        try:
            raise fault
        finally:
            # Error, traceback and this frame would keep each other, and the body, until a full collection.
            del fault


async def _receive(call: Call, services: Services, subject: str) -> None:
    options = services.options
    took = partial(services.bodies.hold, call, subject)
    await call.read_body(options.body_max, options.body_timeout, took)


async def _authenticate_beside(
    count: Coroutine[Any, Any, Decision], call: Call, token: str, services: Services
) -> None:
    taking = asyncio.create_task(count)
    try:
        call.actor = await services.use_cases.authenticate(token, call.request_id)
    except Exception:
        await taking
        raise
    except BaseException:
        taking.cancel()
        raise
    check_decision(await taking)


async def _take(call: Call, limit: Limit, subject: str, cost: int, services: Services) -> Decision:
    call.decision = await services.limits.rate_limits.take(limit, subject, cost)
    return call.decision


def _cost(call: Call, body: Body[Any], cost: Callable[[Any], int]) -> tuple[int, TaskFlowError | None]:
    """Return what the request counts for by its body; a body that cannot be decoded counts for one.

    What is wrong with it is reported later, after whether its sender may ask that often.
    """
    try:
        call.body = body.read(call)
    except TaskFlowError as error:
        return 1, error.with_traceback(None)
    return max(1, cost(call.body)), None


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
