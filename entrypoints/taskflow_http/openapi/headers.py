"""Header fields and other parts that many operations share."""

from __future__ import annotations

from typing import Any, Final

from taskflow_http.idempotency import HEADER_PATTERN as HEADER_PATTERN_OF_KEYS
from taskflow_http.preconditions import HEADER_PATTERN

Part = dict[str, Any]

ANSWER_HEADERS: Final[dict[str, Part]] = {
    "ETag": {
        "description": "The version, as a strong entity tag (RFC 9110).",
        "schema": {"type": "string", "pattern": '^"[1-9][0-9]*"$', "examples": ['"3"']},
    },
    "Location": {
        "description": "The path of what was created.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Link": {
        "description": 'The next page, if there is one: `<…>; rel="next"` (RFC 8288), relative to this list.',
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "Present if this is the response of an earlier request with this `Idempotency-Key`.",
        "schema": {"type": "string", "const": "true"},
    },
    "X-Request-ID": {
        "description": "Identifies this request in logs and in the history of tasks.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate (RFC 6750).",
        "schema": {"type": "string", "examples": ['Bearer realm="taskflow", error="invalid_token"']},
    },
    "RateLimit": {
        "description": (
            "How many requests remain, and the seconds until all are available again; absent without a limit "
            "(draft-ietf-httpapi-ratelimit-headers)."
        ),
        "schema": {"type": "string", "examples": ['"api";r=99;t=1']},
    },
    "RateLimit-Policy": {
        "description": "How many requests are allowed in how many seconds; absent without a limit.",
        "schema": {"type": "string", "examples": ['"api";q=100;w=60']},
    },
    "Retry-After": {
        "description": "Seconds to wait before the next try.",
        "schema": {"type": "integer", "minimum": 1},
    },
}

REQUEST_HEADERS: Final[dict[str, Part]] = {
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": (
            'Proceed only if the version is one of these, such as `"3"`; otherwise respond with 412. '
            "Weak tags never match."
        ),
        "schema": {"type": "string", "pattern": HEADER_PATTERN, "examples": ['"3"']},
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": (
            'Apply the request only if the version is not one of these, such as `"3"`: otherwise GET '
            "responds with 304, other methods with 412."
        ),
        "schema": {"type": "string", "pattern": HEADER_PATTERN, "examples": ['"3"']},
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": (
            "A key that the client chooses, such as a random UUID. For 24 hours the same request with the "
            "same key takes effect once and gets the first response again. Quotes around it do not matter."
        ),
        "schema": {"type": "string", "pattern": HEADER_PATTERN_OF_KEYS, "examples": ['"8e03978e-40d5"']},
    },
    "X-Request-ID": {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "description": "Identifies this request: 1 to 128 of `A-Za-z0-9._-`; otherwise one is generated.",
        "schema": {"type": "string"},
    },
}

SECURITY_SCHEMES: Final[dict[str, Part]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `access_token` of `POST /auth/login`, `/auth/register` or `/auth/refresh`.",
    }
}


def header_reference(name: str) -> Part:
    """Return a reference to the header field of an answer."""
    return {"$ref": f"#/components/headers/{name}"}


def parameter_reference(name: str) -> Part:
    """Return a reference to the header field of a request."""
    return {"$ref": f"#/components/parameters/{name}"}
