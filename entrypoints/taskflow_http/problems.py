"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from taskflow_core import (
    BatchFailed,
    BatchResult,
    InvalidCredentials,
    InvalidInput,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from taskflow_http.errors import FAULTS_MAX, STATUSES, InvalidRequest, MethodNotAllowed, RequestTimeout
from taskflow_http.replies import NO_STORE, PROBLEM_JSON, Headers, Reply, encode
from taskflow_http.schemas import BatchOutcome, FaultEntry, Problem
from taskflow_http.wire_names import pointer, wire_path

if TYPE_CHECKING:
    from taskflow_core import TaskFlowError
    from taskflow_http.calls import Call

TYPE_PREFIX: Final = "urn:taskflow:problem:"
CHALLENGE: Final = b'Bearer realm="taskflow"'
CHALLENGE_INVALID: Final = (
    CHALLENGE + b', error="invalid_token", error_description="The token is not valid (any more)"'
)


def problem(error: TaskFlowError) -> Problem:
    """Return an error as a problem, without what depends on the request."""
    status, title = STATUSES[error.code]
    return Problem(TYPE_PREFIX + error.code, title, status, error.detail, error.code)


def problem_reply(error: TaskFlowError, call: Call, *, in_query: bool) -> Reply:
    """Return the answer that tells of an error.

    Args:
        error: What went wrong.
        call: The request.
        in_query: Whether faults that the core found are in query parameters, rather than in a body.
    """
    document = problem(error)
    document.request_id = call.request_id
    if isinstance(error, InvalidInput):
        document.errors = fault_entries(error, in_query=in_query)
    if isinstance(error, BatchFailed):
        document.results = [outcome(result) for result in error.results]
    return Reply(document.status, encode(document), PROBLEM_JSON, NO_STORE, _headers(error, call))


def outcome(result: BatchResult) -> BatchOutcome:
    """Return what became of one item of a batch."""
    if result.error is None:
        return BatchOutcome(result.id, "ok", UNSET)
    return BatchOutcome(result.id, "failed", problem(result.error))


def fault_entries(error: InvalidInput, *, in_query: bool) -> list[FaultEntry]:
    """Return the faults by JSON Pointer into the body, or by the name of the query parameter."""
    if isinstance(error, InvalidRequest):
        in_query = error.place == "query"
        found = [(fault.path, fault.detail) for fault in error.faults]
    else:
        found = [(wire_path(fault.path), fault.detail) for fault in error.faults]
    return [_entry(path, detail, in_query=in_query) for path, detail in found[:FAULTS_MAX]]


def _entry(path: tuple[str | int, ...], detail: str, *, in_query: bool) -> FaultEntry:
    if in_query:
        return FaultEntry(detail, parameter=".".join(map(str, path)))
    return FaultEntry(detail, pointer=pointer(path))


def _headers(error: TaskFlowError, call: Call) -> Headers:
    if isinstance(error, Unauthenticated):
        # RFC 6750 section 3.1: no error code where no token was given. One beside a wrong password is good.
        doubted = call.token_given and not isinstance(error, InvalidCredentials)
        return [(b"www-authenticate", CHALLENGE_INVALID if doubted else CHALLENGE)]
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", ", ".join(error.allowed).encode("ascii"))]
    if isinstance(error, RequestTimeout):
        # What is left of the body is not waited for.
        return [(b"connection", b"close")]
    if isinstance(error, Unavailable | RateLimited):
        return [(b"retry-after", b"%d" % max(1, error.retry_after))]
    return []
