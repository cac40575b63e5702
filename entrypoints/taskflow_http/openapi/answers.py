"""The responses of an operation, and the examples of them."""

from __future__ import annotations

import functools
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from taskflow_core import (
    Contention,
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    KeyReused,
    Overloaded,
    RateLimited,
    RequestInProgress,
    TaskFlowError,
    Unauthenticated,
    Unavailable,
    VersionMismatch,
)
from taskflow_http.errors import (
    STATUSES,
    ContentTooLarge,
    HeadersTooLarge,
    InternalError,
    MalformedRequest,
    RequestTimeout,
    TooManyConcurrent,
    UnsupportedMediaType,
)
from taskflow_http.openapi.headers import Part, header_reference
from taskflow_http.problems import TYPE_PREFIX, problem
from taskflow_http.schemas import Readiness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskflow_http.operations import Operation

_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503

_LIMIT_HEADERS: Final = ["RateLimit", "RateLimit-Policy"]


def answers(operation: Operation) -> Part:
    """Return every answer by its status."""
    told = {str(operation.status): _success(operation)}
    if operation.versioned and operation.method == "GET":
        limits = _LIMIT_HEADERS if _is_limited(operation) else []
        headers = {name: header_reference(name) for name in ("ETag", "X-Request-ID", *limits)}
        told["304"] = {"description": "Not Modified: the client has this version.", "headers": headers}
    by_status: dict[int, list[type[TaskFlowError]]] = {}
    for error in errors(operation):
        by_status.setdefault(STATUSES[error.code][0], []).append(error)
    failures = {str(status): _failure(status, by_status[status], operation) for status in sorted(by_status)}
    return told | failures


def errors(operation: Operation) -> list[type[TaskFlowError]]:
    """Return what may go wrong: what the table says, and what the edge adds to it."""
    changes, has_body = operation.method != "GET", operation.body is not None
    reaches_store = operation.secured or has_body
    added: list[tuple[bool, list[type[TaskFlowError]]]] = [
        (True, [HeadersTooLarge, InternalError]),
        # An unknown query parameter is refused.
        (not operation.ignores_query, [InvalidInput]),
        (operation.secured, [Unauthenticated, RateLimited]),
        (_is_limited(operation), [TooManyConcurrent]),
        (operation.expensive is not None, [Overloaded]),
        (operation.permission is not None, [Forbidden]),
        (operation.versioned, [VersionMismatch]),
        (operation.versioned or changes, [MalformedRequest]),
        (operation.idempotent_by_key, [RequestInProgress, KeyReused]),
        (has_body, [MalformedRequest, RequestTimeout, ContentTooLarge, UnsupportedMediaType]),
        (reaches_store, [Unavailable, DeadlineExceeded]),
        (reaches_store and changes, [Contention]),
    ]
    found = [*operation.errors, *(error for holds, more in added if holds for error in more)]
    return list(dict.fromkeys(found))


def _is_limited(operation: Operation) -> bool:
    return operation.secured or operation.limit is not None


def _success(operation: Operation) -> Part:
    names = [*operation.headers, "X-Request-ID"]
    names += ["Idempotent-Replayed"] if operation.idempotent_by_key else []
    names += _LIMIT_HEADERS if _is_limited(operation) else []
    told: Part = {
        "description": HTTPStatus(operation.status).phrase,
        "headers": {name: header_reference(name) for name in names},
    }
    if operation.answer is not None:
        content: Part = {"schema": {"$ref": f"#/components/schemas/{operation.answer.__name__}"}}
        if operation.name in _captured():
            content["examples"] = {"example": {"value": _captured()[operation.name]}}
        told["content"] = {"application/json": content}
    elif operation.media_type is not None:
        kind = "object" if operation.media_type == "application/json" else "string"
        told["content"] = {operation.media_type: {"schema": {"type": kind}}}
    return told


@functools.cache
def _captured() -> Part:
    """Return the response to each request of docs/api.http by the operation's name; a test captures them."""
    captured: Part = msgspec.json.decode(Path(__file__).with_name("answers.json").read_bytes())
    return captured


def _failure(status: int, kinds: Sequence[type[TaskFlowError]], operation: Operation) -> Part:
    names = [_example_name(kind, operation) for kind in kinds]
    headers = ["X-Request-ID"]
    headers += ["WWW-Authenticate"] if status == _UNAUTHORIZED else []
    headers += ["Retry-After"] if status in (_TOO_MANY, _UNAVAILABLE) else []
    headers += _LIMIT_HEADERS if _is_limited(operation) else []
    return {
        "description": ", ".join(f"`{kind.code}`" for kind in kinds),
        "headers": {name: header_reference(name) for name in headers},
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {name: {"$ref": f"#/components/examples/{name}"} for name in names},
            }
        },
    }


def examples(operations: Sequence[Operation]) -> Part:
    """Return an example of each problem that these may answer."""
    kinds = {_example_name(kind, operation): kind for operation in operations for kind in errors(operation)}
    return {name: {"value": _example(name, kinds[name])} for name in sorted(kinds)}


def _example_name(kind: type[TaskFlowError], operation: Operation) -> str:
    if kind is InvalidInput and operation.body is None:
        return "invalid_query"
    if kind is Unavailable and operation.answer is Readiness:
        return "not_ready"
    return kind.code


_MEMBERS: Final[dict[str, Part]] = {
    "invalid": {"errors": [{"detail": "must not be empty", "pointer": "/title"}]},
    "invalid_query": {"errors": [{"detail": "is not a parameter of this", "parameter": "colour"}]},
    "not_ready": {"checks": {"postgresql": "down", "redis": "up"}},
    "batch_failed": {
        "results": [
            {"id": "01890a5d-ac96-774b-bcce-b302099a8057", "status": "ok"},
            {
                "id": "01890a5d-ac96-774b-bcce-b302099a8058",
                "status": "failed",
                "problem": msgspec.to_builtins(problem(VersionMismatch())),
            },
        ]
    },
}
"""What some problems have beside what all have, by the name of the example."""


def _example(name: str, kind: type[TaskFlowError]) -> Part:
    status, title = STATUSES[kind.code]
    return {
        "type": TYPE_PREFIX + kind.code,
        "title": title,
        "status": status,
        "detail": kind.default_detail,
        "code": kind.code,
        "requestId": "0123456789abcdef0123456789abcdef",
        **_MEMBERS.get(name, {}),
    }
