"""The application: routes of the table over use cases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.websockets import WebSocketClose

from taskflow_http.authentication import admit
from taskflow_http.calls import CALL
from taskflow_http.cursors import Cursors
from taskflow_http.edge import Edge
from taskflow_http.errors import MethodNotAllowed, RouteNotFound
from taskflow_http.idempotency import Fingerprints
from taskflow_http.operations import HttpOptions, Operation, Services
from taskflow_http.parameters import read_query
from taskflow_http.places import Bodies, Places, handle
from taskflow_http.preconditions import conditional, refuse_preconditions
from taskflow_http.table import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from taskflow_core import UseCases
    from taskflow_core.ports.security import AccessTokens
    from taskflow_core.ports.time import Clock
    from taskflow_http.calls import Call
    from taskflow_http.limits import Addresses, Limits

Hook = Callable[[], Awaitable[None]]

_DEFAULTS = HttpOptions()


def create_app(
    *,
    use_cases: UseCases,
    tokens: AccessTokens,
    clock: Clock,
    limits: Limits,
    addresses: Addresses,
    cursor_key: bytes,
    older_cursor_keys: Sequence[bytes] = (),
    checks: Mapping[str, Hook] | None = None,
    options: HttpOptions = _DEFAULTS,
    on_startup: Sequence[Hook] = (),
    on_shutdown: Sequence[Hook] = (),
) -> Starlette:
    """Return the HTTP API.

    Args:
        use_cases: What it offers.
        tokens: Believes or refuses bearer tokens.
        clock: Tells the time by which tokens are judged.
        limits: How often who may ask.
        addresses: What is made of clients' addresses.
        cursor_key: A secret that all instances share, 32 bytes or more; other keys are derived from it.
        older_cursor_keys: Those before it, by which cursors may have been made that are still under way.
            Of requests that are to be done once none is known again that was asked under one of these.
        checks: Readiness: the name of a dependency, as callers shall read it, to what raises where it
            cannot be reached.
        options: Other limits, and what browsers are told.
        on_startup: Awaited in this order before the first request.
        on_shutdown: Awaited in this order after the last request, each whatever becomes of the others.
    """
    services = Services(
        use_cases=use_cases, tokens=tokens, clock=clock, limits=limits, addresses=addresses,
        places=Places(options.user_concurrency, options.expensive_concurrency),
        bodies=Bodies(options.bodies_max),
        cursors=Cursors(cursor_key, *older_cursor_keys), fingerprints=Fingerprints(cursor_key),
        checks=dict(checks or {}), options=options,
    )  # fmt: skip

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for hook in reversed(on_shutdown):
                stack.push_async_callback(hook)
            for hook in on_startup:
                await hook()
            yield

    return _Application(services, lifespan)


class _Application(Starlette):
    """Starlette with one layer around its router instead of its own."""

    def __init__(self, services: Services, lifespan: Callable[[Starlette], object]) -> None:
        super().__init__(routes=routes(services), lifespan=lifespan)  # type: ignore[arg-type]
        self.router.redirect_slashes = False
        self.router.default = _nothing_here
        self._options = services.options

    def build_middleware_stack(self) -> ASGIApp:
        return Edge(self.router, self._options)


def routes(services: Services) -> list[Route]:
    """Return a route for each path of the table, in its order."""
    paths = dict.fromkeys(operation.path for operation in OPERATIONS)
    resources = [Resource(path, [o for o in OPERATIONS if o.path == path], services) for path in paths]
    return [Route(r.path.replace("{id}", "{id:uuid}"), r, name=r.path) for r in resources]


class Resource:
    """A path with its methods (an ASGI application; Starlette leaves a class all methods)."""

    def __init__(self, path: str, operations: Sequence[Operation], services: Services) -> None:
        self.path = path
        self._services = services
        self._operations = {operation.method: operation for operation in operations}
        if "GET" in self._operations:
            self._operations["HEAD"] = self._operations["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Leave the answer in the call, for `Edge` to send."""
        call: Call = scope[CALL]
        call.route = self.path
        operation = self._operations.get(scope["method"])
        if operation is None:
            raise MethodNotAllowed(self._operations)
        try:
            await self._answer(call, operation)
        finally:
            self._services.bodies.release(call)

    async def _answer(self, call: Call, operation: Operation) -> None:
        scope, services = call.scope, self._services
        await admit(call, operation, services)
        if operation.permission is not None:
            call.actor.require(operation.permission)
        if not operation.ignores_query:
            call.query = read_query(operation.parameters, scope["query_string"])
        reads = operation.method == "GET"
        if not reads and not operation.versioned:
            refuse_preconditions(call)
        if operation.body is not None and call.body is None:
            call.body = operation.body.read(call)
        if operation.idempotent_by_key:
            call.mark = services.fingerprints.mark(call)
        reply = await handle(call, operation, services)
        call.reply = conditional(call, reply) if reads else reply


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await WebSocketClose()(scope, receive, send)
        return
    raise RouteNotFound
