"""Errors that only HTTP knows, and the one table that gives every error its status and title.

::

    TaskFlowError
    ├── InvalidRequest          invalid              (an InvalidInput) what the edge found, in wire names
    ├── MalformedRequest        malformed_request    not JSON, or a header that cannot be read
    │   └── InvalidCursor       invalid_cursor       a cursor that was changed, or is another query's
    ├── RouteNotFound           not_found            nothing has this path
    ├── MethodNotAllowed        method_not_allowed
    ├── RequestTimeout          request_timeout      the body did not arrive in time
    ├── ContentTooLarge         content_too_large
    ├── UnsupportedMediaType    unsupported_media_type
    ├── TooManyConcurrent       too_many_concurrent  (a RateLimited) too many at once of one subject
    ├── HeadersTooLarge         headers_too_large
    ├── NotImplementedHere      not_implemented      a method or transfer coding that nothing here knows
    └── InternalError           internal_error       a fault of ours; told to the log alone
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from taskflow_core import Fault, InvalidInput, NotFound, RateLimited, TaskFlowError

STATUSES: Final[Mapping[str, tuple[int, str]]] = {
    "malformed_request": (400, "Malformed request"),
    "invalid_cursor": (400, "Invalid cursor"),
    "unauthenticated": (401, "Authentication required"),
    "invalid_credentials": (401, "Wrong email or password"),
    "refresh_reused": (401, "Refresh token used before"),
    "forbidden": (403, "Forbidden"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "request_timeout": (408, "Request timeout"),
    "conflict": (409, "Conflict"),
    "email_taken": (409, "Email taken"),
    "invalid_transition": (409, "Invalid transition"),
    "last_admin": (409, "Last admin"),
    "quota_exceeded": (409, "Quota exceeded"),
    "batch_failed": (409, "Batch failed"),
    "job_not_dead": (409, "Job not dead"),
    "lease_lost": (409, "Lease lost"),
    "request_in_progress": (409, "Request in progress"),
    "version_mismatch": (412, "Version mismatch"),
    "content_too_large": (413, "Content too large"),
    "unsupported_media_type": (415, "Unsupported media type"),
    "invalid": (422, "Invalid input"),
    "idempotency_key_reused": (422, "Idempotency key reused"),
    "rate_limited": (429, "Too many requests"),
    "too_many_attempts": (429, "Too many attempts"),
    "too_many_concurrent": (429, "Too many concurrent requests"),
    "headers_too_large": (431, "Request header fields too large"),
    "internal_error": (500, "Internal error"),
    "not_implemented": (501, "Not implemented"),
    "undeliverable": (502, "Undeliverable"),
    "unaddressable": (502, "Unaddressable"),
    "unavailable": (503, "Unavailable"),
    "contention": (503, "Contention"),
    "overloaded": (503, "Overloaded"),
    "deadline_exceeded": (503, "Deadline exceeded"),
}
"""Error code to HTTP status and title; the code is what clients may rely on."""


FAULTS_MAX: Final = 100
"""Of one request at most so many faults are listed: the answer to a megabyte of nonsense stays small."""


class InvalidRequest(InvalidInput):
    """What the edge found wrong. The paths of its faults are wire names, unlike those of the core's.

    Attributes:
        place: Whether the faults are in the body or in the query string.
    """

    def __init__(self, faults: Iterable[Fault], place: Literal["body", "query"]) -> None:
        super().__init__(faults)
        self.place = place


class MalformedRequest(TaskFlowError):
    """The request cannot be read."""

    code = "malformed_request"
    default_detail = "The request cannot be read."


class InvalidCursor(MalformedRequest):
    """The cursor was not made here, was changed, or was made for another query."""

    code = "invalid_cursor"
    default_detail = "The cursor is not one that this query gave; begin again without it."


class RouteNotFound(NotFound):
    """No route has this path."""

    default_detail = "There is nothing at this path."


class MethodNotAllowed(TaskFlowError):
    """The path is there, the method is not.

    Attributes:
        allowed: The methods that are, sorted.
    """

    code = "method_not_allowed"
    default_detail = "This path does not take this method."

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        self.allowed = tuple(sorted(allowed))


class RequestTimeout(TaskFlowError):
    """The body did not arrive within the request's deadline."""

    code = "request_timeout"
    default_detail = "The body did not arrive in time."


class ContentTooLarge(TaskFlowError):
    """The body is larger than one may be."""

    code = "content_too_large"
    default_detail = "The body is too large."


class UnsupportedMediaType(TaskFlowError):
    """The body is of a type, in a charset or in an encoding that this route does not take."""

    code = "unsupported_media_type"
    default_detail = "This route does not take a body of this type."


class HeadersTooLarge(TaskFlowError):
    """There are too many header fields, or they are too long."""

    code = "headers_too_large"
    default_detail = "The header fields are too many or too long."


class NotImplementedHere(TaskFlowError):
    """The server does not know the request's method or transfer coding (RFC 9110 section 15.6.2)."""

    code = "not_implemented"
    default_detail = "This server does not know the method of the request."


class TooManyConcurrent(RateLimited):
    """Too many requests of one user, or of one address, are under way in this process."""

    code = "too_many_concurrent"
    default_detail = "Too many of your requests are under way; wait for their answers."

    def __init__(self) -> None:
        super().__init__(retry_after=1)


class InternalError(TaskFlowError):
    """A fault of ours. What went wrong stands in the log, under the request's id."""

    code = "internal_error"
    default_detail = "Something went wrong here. The request id helps to find out what."
