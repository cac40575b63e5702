"""The outermost layer: the request's id, its deadline, what went wrong as a problem, one line in the log.

It stands in place of Starlette's own three layers, which would each wrap every request to do less.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from taskflow_core import DeadlineExceeded, TaskFlowError
from taskflow_http.calls import CALL, Call, Disconnected
from taskflow_http.cors import Cors
from taskflow_http.errors import STATUSES, InternalError, RequestTimeout
from taskflow_http.limits import limit_fields
from taskflow_http.logs import current
from taskflow_http.problems import problem_reply
from taskflow_http.replies import Headers, Reply, send_reply
from taskflow_http.security_fields import NOTHING, PAGE, security_fields

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from taskflow_http.operations import HttpOptions

log: Final = structlog.get_logger("taskflow_http")

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_CLIENT_GONE: Final = 499
"""What the log says where nobody waited for the answer (nginx's number for it)."""


class Edge:
    """Wraps the router.

    Args:
        app: The router.
        options: The deadline, and what browsers are told.

    Raises:
        ValueError: An origin is none.
    """

    def __init__(self, app: ASGIApp, options: HttpOptions) -> None:
        self._app = app
        self._timeout = options.request_timeout
        self._cors = Cors(options.cors_origins)
        self._fields = {policy: security_fields(policy, options.hsts_seconds) for policy in (NOTHING, PAGE)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; other kinds of scope go on as they are."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        call = scope[CALL] = Call(scope, receive)
        token = current.set(call)
        status = _CLIENT_GONE
        try:
            reply = await self._answer(call, send)
            status = reply.status
            # A client that is slow to read does not hold what it sent as well.
            call.content, call.body = b"", None
            await send_reply(reply, self._told(call, reply), send, with_body=scope["method"] != "HEAD")
        except Disconnected:
            pass
        finally:
            _log(call, status, time.perf_counter() - begun)
            current.reset(token)
            # The two refer to each other: a body would stay in memory until a full collection.
            del scope[CALL]

    async def _answer(self, call: Call, send: Send) -> Reply:
        deadline = asyncio.timeout(self._timeout)
        try:
            call.check()
            preflight = self._cors.preflight(call)
            if preflight is not None:
                return preflight
            async with deadline:
                await self._app(call.scope, call.receive, send)
            return call.reply
        except Disconnected:
            raise
        except Exception as error:
            if isinstance(error, TaskFlowError) and error.code in STATUSES:
                return _problem(error, call)
            if isinstance(error, TimeoutError) and deadline.expired():
                return _problem(_overdue(call), call)
            log.exception("unhandled error", method=call.scope["method"], route=call.route)
            return _problem(InternalError(), call)

    def _told(self, call: Call, reply: Reply) -> Headers:
        """Return the fields that every answer has."""
        fields = [(b"x-request-id", call.request_id.encode("ascii")), *self._fields[reply.policy]]
        if call.decision is not None:
            fields += limit_fields(call.decision)
        if call.body_may_stay_out:
            fields.append((b"connection", b"close"))
        return fields + self._cors.fields(call)


def _problem(error: TaskFlowError, call: Call) -> Reply:
    return problem_reply(error, call, in_query=call.scope["method"] in SAFE_METHODS)


def _overdue(call: Call) -> TaskFlowError:
    """Return what the deadline means: for a change, that nobody knows whether it was done.

    A use case does not wait for anything once its commit is acknowledged, so a change that is known
    to be committed is answered as such. Only one whose commit was under way is in doubt.
    """
    if call.receiving:
        return RequestTimeout()
    if call.scope["method"] in SAFE_METHODS:
        return DeadlineExceeded()
    advice = "look before you try again" if call.mark is None else "try again with the same Idempotency-Key"
    return DeadlineExceeded(f"This took too long. Whether it was done is not known: {advice}.")


def _log(call: Call, status: int, seconds: float) -> None:
    actor = getattr(call, "actor", None)
    log.info(
        "request",
        method=call.scope["method"],
        route=call.route,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        user=None if actor is None else str(actor.id),
    )
