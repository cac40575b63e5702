"""What a route is: one entry of the table that both the routes and the OpenAPI document are made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskflow_core import TaskFlowError
from taskflow_http.bodies import Body
from taskflow_http.calls import Call
from taskflow_http.limits import Addresses, Limits, RouteClass
from taskflow_http.parameters import Parameter
from taskflow_http.replies import Reply

if TYPE_CHECKING:
    from taskflow_core import Permission, UseCases
    from taskflow_core.ports.security import AccessTokens
    from taskflow_core.ports.time import Clock
    from taskflow_http.cursors import Cursors
    from taskflow_http.idempotency import Fingerprints
    from taskflow_http.places import Bodies, Places


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Limits of the edge.

    Attributes:
        request_timeout: Seconds that a request may take, its body's arrival included.
        head_timeout: Seconds that a request's line and header fields may take to arrive (`protocol`).
        body_timeout: Seconds that a body may take to arrive.
        write_timeout: Seconds that a client may take to read each 64 KiB of a response.
        connections_max: Connections of one process.
        unread_max: Bytes that responses of one process may hold in memory because clients do not read them.
        check_timeout: Seconds that each readiness check may take.
        dispensable: Which readiness checks may fail with everything still served.
        body_max: Bytes of a body.
        bodies_max: Bytes that the bodies of requests under way may hold in memory, a quarter of them
            for one user (one address, where nobody is signed in).
        user_concurrency: Requests of one user (one address, where nobody is signed in) under way at a time;
            0 lifts this bound and the next.
        expensive_concurrency: Expensive requests of everybody under way at a time.
        cors_origins: Whose pages may call, such as https://app.example.com; see `Cors`.
        hsts_seconds: For how long browsers are to come by TLS only; 0 where this is served without TLS too.
            To be set where TLS ends, here or in a proxy: whether a request came by it is not asked.
    """

    request_timeout: float = 10.0
    head_timeout: float = 10.0
    body_timeout: float = 10.0
    write_timeout: float = 20.0
    connections_max: int = 1000
    unread_max: int = 64 * 1024 * 1024
    check_timeout: float = 2.0
    dispensable: frozenset[str] = frozenset()
    body_max: int = 1024 * 1024
    bodies_max: int = 32 * 1024 * 1024
    user_concurrency: int = 4
    expensive_concurrency: int = 5
    cors_origins: tuple[str, ...] = ()
    hsts_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What handlers work with.

    Attributes:
        checks: Readiness: the name of a dependency to what raises where it cannot be reached.
    """

    use_cases: UseCases
    tokens: AccessTokens
    clock: Clock
    limits: Limits
    places: Places
    bodies: Bodies
    addresses: Addresses
    cursors: Cursors
    fingerprints: Fingerprints
    checks: Mapping[str, Callable[[], Awaitable[None]]]
    options: HttpOptions


Handler = Callable[[Call, Services], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method of a path.

    Attributes:
        path: The template; `{id}` is a UUID.
        name: Unique; `operationId` in the document.
        secured: Whether it takes a bearer token, and so is limited by user.
        permission: What one must hold for it whatever it is about; the use case looks too.
        limit: What it is limited as: by address where it takes no token; else by user, beside `api`.
        expensive: Whether a request may keep a connection busy for long; see `places`.
        cost: What a body counts for, where that is not one request.
        parameters: Of the query string; all others are refused.
        ignores_query: Whether the query string is not even read, since probes and balancers add to it.
        versioned: Whether it is about one thing that has a version, and so honours `If-Match` and
            `If-None-Match` (RFC 9110 section 13).
        idempotent_by_key: Whether it is done once where it has a key: its handler goes by `done_once`.
        status: Of the answer where all went well.
        answer: The struct that the answer is; None for none.
        media_type: Of the answer where it is not JSON.
        headers: Of the answer, beyond those that every answer has; names in `openapi.headers`.
        errors: What the use case may raise; what the edge itself raises is added.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    handler: Handler
    description: str = ""
    secured: bool = True
    permission: Permission | None = None
    limit: RouteClass | None = None
    expensive: Callable[[Call], bool] | None = None
    cost: Callable[[Any], int] | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    body: Body[Any] | None = None
    versioned: bool = False
    ignores_query: bool = False
    idempotent_by_key: bool = False
    status: int = 200
    answer: type | None = None
    media_type: str | None = None
    headers: Sequence[str] = ()
    errors: Sequence[type[TaskFlowError]] = ()
