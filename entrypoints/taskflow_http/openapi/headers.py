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
    "Location": {"description": "Where it is.", "schema": {"type": "string"}},
    "Link": {
        "description": 'The next page, if there is one: `<…>; rel="next"` (RFC 8288), relative to this list.',
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "It was done before, by the same `Idempotency-Key`; this is the answer of then.",
        "schema": {"const": "true"},
    },
    "X-Request-ID": {
        "description": "What this request is called in logs and history.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate (RFC 6750).",
        "schema": {"type": "string", "examples": ['Bearer realm="taskflow", error="invalid_token"']},
    },
    "RateLimit": {
        "description": (
            "Of the limit, unless it is off: how many requests remain, and seconds until all are there again "
            "(draft-ietf-httpapi-ratelimit-headers)."
        ),
        "schema": {"type": "string", "examples": ['"api";r=99;t=1']},
    },
    "RateLimit-Policy": {
        "description": "The limit, unless it is off: how many requests in how many seconds.",
        "schema": {"type": "string", "examples": ['"api";q=100;w=60']},
    },
    "Retry-After": {
        "description": "Seconds after which trying again makes sense.",
        "schema": {"type": "integer", "minimum": 1},
    },
}

REQUEST_HEADERS: Final[dict[str, Part]] = {
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": 'Do it only at one of these versions, such as `"3"`; else 412. Weak ones never match.',
        "schema": {"type": "string", "pattern": HEADER_PATTERN, "examples": ['"3"']},
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "Do it only where the version is none of these; else GET is 304, all others 412.",
        "schema": {"type": "string", "pattern": HEADER_PATTERN, "examples": ['"3"']},
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": (
            "A key of your own, a random one say: for 24 hours the same request with the same key is done "
            "once, and answered as it was then. With or without quotes it is the same key."
        ),
        "schema": {"type": "string", "pattern": HEADER_PATTERN_OF_KEYS, "examples": ['"8e03978e-40d5"']},
    },
    "X-Request-ID": {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "description": "Kept where it is 1 to 128 letters, digits, `.`, `-` or `_`; else made up.",
        "schema": {"type": "string"},
    },
}

SECURITY_SCHEMES: Final[dict[str, Part]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The `access_token` of `POST /auth/login`, `/auth/register` or `/auth/refresh`.",
    }
}


def header_reference(name: str) -> Part:
    """Return a reference to the header field of an answer."""
    return {"$ref": f"#/components/headers/{name}"}


def parameter_reference(name: str) -> Part:
    """Return a reference to the header field of a request."""
    return {"$ref": f"#/components/parameters/{name}"}
