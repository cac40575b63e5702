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
from taskflow_http.errors import STATUSES, InternalError, RequestTimeout
from taskflow_http.logs import current
from taskflow_http.problems import problem_reply
from taskflow_http.replies import Reply, send_reply

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

log: Final = structlog.get_logger("taskflow_http")

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_CLIENT_GONE: Final = 499
"""What the log says where nobody waited for the answer (nginx's number for it)."""


class Edge:
    """Wraps the router.

    Args:
        app: The router.
        timeout: Seconds that a request may take, its body's arrival included.
    """

    def __init__(self, app: ASGIApp, *, timeout: float) -> None:
        self._app = app
        self._timeout = timeout

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
            await send_reply(reply, call.request_id, send, with_body=scope["method"] != "HEAD")
        except Disconnected:
            pass
        finally:
            _log(call, status, time.perf_counter() - begun)
            current.reset(token)

    async def _answer(self, call: Call, send: Send) -> Reply:
        deadline = asyncio.timeout(self._timeout)
        try:
            call.check()
            async with deadline:
                await self._app(call.scope, call.receive, send)
            return call.reply
        except Disconnected:
            raise
        except Exception as error:
            if isinstance(error, TaskFlowError) and error.code in STATUSES:
                return _told(error, call)
            if isinstance(error, TimeoutError) and deadline.expired():
                return _told(_overdue(call), call)
            log.exception("unhandled error", method=call.scope["method"], route=call.route)
            return _told(InternalError(), call)


def _told(error: TaskFlowError, call: Call) -> Reply:
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
    return DeadlineExceeded(
        "This took too long. Whether it was done is not known: look before you try again."
    )


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
