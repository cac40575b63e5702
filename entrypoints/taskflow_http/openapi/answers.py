"""What an operation may answer, as the document tells it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

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
from taskflow_http.operations import Condition
from taskflow_http.problems import TYPE_PREFIX

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
    if operation.condition is Condition.IF_NONE_MATCH:
        limits = _LIMIT_HEADERS if _is_limited(operation) else []
        headers = {name: header_reference(name) for name in ("ETag", "X-Request-ID", *limits)}
        told["304"] = {"description": "The client has this version.", "headers": headers}
    by_status: dict[int, list[type[TaskFlowError]]] = {}
    for error in errors(operation):
        by_status.setdefault(STATUSES[error.code][0], []).append(error)
    limited = _is_limited(operation)
    failures = {str(s): _failure(s, by_status[s], limited=limited) for s in sorted(by_status)}
    return told | failures


def errors(operation: Operation) -> list[type[TaskFlowError]]:
    """Return what may go wrong: what the table says, and what the edge adds to it."""
    # An unknown query parameter is refused everywhere.
    found: list[type[TaskFlowError]] = [*operation.errors, InvalidInput, HeadersTooLarge, InternalError]
    if operation.secured:
        found += [Unauthenticated, RateLimited]
    if _is_limited(operation):
        found.append(TooManyConcurrent)
    if operation.expensive is not None:
        found.append(Overloaded)
    if operation.permission is not None:
        found.append(Forbidden)
    if operation.condition is not None or operation.idempotent_by_key:
        found.append(MalformedRequest)
    if operation.idempotent_by_key:
        found += [RequestInProgress, KeyReused]
    if operation.body is not None:
        found += [MalformedRequest, RequestTimeout, ContentTooLarge, UnsupportedMediaType]
    if operation.secured or operation.body is not None:
        found += [Unavailable, DeadlineExceeded]
        found += [] if operation.method == "GET" else [Contention]
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
        schema: Any = {"$ref": f"#/components/schemas/{operation.answer.__name__}"}
        told["content"] = {"application/json": {"schema": schema}}
    elif operation.media_type is not None:
        told["content"] = {operation.media_type: {}}
    return told


def _failure(status: int, kinds: Sequence[type[TaskFlowError]], *, limited: bool) -> Part:
    headers = ["X-Request-ID"]
    headers += ["WWW-Authenticate"] if status == _UNAUTHORIZED else []
    headers += ["Retry-After"] if status in (_TOO_MANY, _UNAVAILABLE) else []
    headers += _LIMIT_HEADERS if limited else []
    return {
        "description": ", ".join(f"`{kind.code}`" for kind in kinds),
        "headers": {name: header_reference(name) for name in headers},
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {kind.code: _example_reference(kind.code) for kind in kinds},
            }
        },
    }


def _example_reference(code: str) -> Part:
    return {"$ref": f"#/components/examples/{code}"}


def examples(operations: Sequence[Operation]) -> Part:
    """Return a problem for each code that these may answer."""
    kinds = {kind.code: kind for operation in operations for kind in errors(operation)}
    return {code: {"value": _example(kinds[code])} for code in sorted(kinds)}


def _example(kind: type[TaskFlowError]) -> Part:
    status, title = STATUSES[kind.code]
    told: Part = {
        "type": TYPE_PREFIX + kind.code,
        "title": title,
        "status": status,
        "detail": kind.default_detail,
        "code": kind.code,
        "requestId": "0123456789abcdef0123456789abcdef",
    }
    if issubclass(kind, InvalidInput):
        told["errors"] = [{"detail": "must not be empty", "pointer": "/title"}]
    return told
