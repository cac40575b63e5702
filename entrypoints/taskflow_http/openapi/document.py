"""The OpenAPI 3.1 document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

import taskflow_core
from taskflow_http.openapi.answers import answers, examples
from taskflow_http.openapi.headers import (
    ANSWER_HEADERS,
    REQUEST_HEADERS,
    SECURITY_SCHEMES,
    Part,
    parameter_reference,
)
from taskflow_http.openapi.models import schemas
from taskflow_http.table import OPERATIONS

if TYPE_CHECKING:
    from taskflow_http.operations import Operation

_DESCRIPTION: Final = """\
Users, their tasks, and background jobs.

- **Times** are RFC 3339: any offset in requests, UTC with `Z` in responses. **Ids** are UUIDs
  (version 7).
- **Errors** are problem documents (RFC 9457). Rely on `code`; `title` and `detail` may change. For
  invalid input, `errors` lists every fault (100 at most), with a JSON Pointer into the body or the
  name of the query parameter.
- **Unknown fields** of a request body are refused. A later version may add fields to a response:
  ignore those that you do not know. If a name occurs twice in a JSON object, the last value counts.
- **Lists** are paged: a response has `nextCursor` and a `Link` header to the next page. Send a cursor
  with the query that returned it; only `limit` may change. Unknown, repeated and invalid query
  parameters are refused.
- **Versions**: a task or user is returned with an `ETag`. `If-None-Match` avoids reading an unchanged
  one again; `If-Match` avoids overwriting a change that somebody else made in the meantime. A change
  of something without an `ETag` refuses both with 400.
- **Rate limits** count log-in, refresh and registration by address, and authenticated requests by
  user. A body counts as one more for each 16 KiB, a batch by its tasks, each with the bytes that it
  writes. `RateLimit` says how many remain; 429 has `Retry-After`. Requests with a missing or
  invalid token count against their address.
- **Idempotency**: a POST outside `/auth/` with an `Idempotency-Key` takes effect once in 24 hours,
  however often it is sent. The same key with another path, query or body is refused. Other methods
  ignore the key.
- **404** is also the answer for what the caller may not see.
"""

_TAGS: Final = {
    "tasks": "Create, read, change, delete and restore tasks, one at a time or in batches.",
    "users": "The caller's account; for managers and admins also those of others.",
    "auth": "Registration, log-in, tokens, sessions, passwords and security events.",
    "jobs": "Background jobs, for admins.",
    "health": "Liveness and readiness, for load balancers and orchestrators.",
    "documentation": "This document, as JSON and as a page.",
}

_PATH_PARAMETERS: Final[dict[str, Part]] = {
    "{id}": {"description": "The id.", "schema": {"type": "string", "format": "uuid"}},
    "{file}": {
        "description": "The name of the file.",
        "schema": {
            "type": "string",
            "enum": ["start.js", "swagger_bundle.js", "swagger_preset.js", "swagger_style.css"],
        },
    },
}


def openapi_document(server: str = "/") -> Part:
    """Return the OpenAPI 3.1 document of the HTTP API, which is at the path `server`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "TaskFlow",
            "version": taskflow_core.__version__,
            "description": _DESCRIPTION,
            "contact": {"name": "The operator of this installation"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server}],
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": _paths(),
        "components": {
            "schemas": schemas(OPERATIONS),
            "examples": examples(OPERATIONS),
            "headers": ANSWER_HEADERS,
            "parameters": REQUEST_HEADERS,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def openapi_json(server: str = "/") -> bytes:
    """Return the document as JSON."""
    return msgspec.json.encode(openapi_document(server))


def _paths() -> Part:
    paths: Part = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return paths


def _operation(operation: Operation) -> Part:
    told: Part = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": _parameters(operation),
        "responses": answers(operation),
    }
    if operation.body is not None:
        told["requestBody"] = _request_body(operation.body)
    if not operation.secured:
        told["security"] = []
    return told


def _parameters(operation: Operation) -> list[Part]:
    told = [
        {"name": template[1:-1], "in": "path", "required": True, **part}
        for template, part in _PATH_PARAMETERS.items()
        if template in operation.path
    ]
    told += [
        {
            "name": parameter.name,
            "in": "query",
            "required": False,
            "description": parameter.description,
            "schema": parameter.schema,
        }
        for parameter in operation.parameters.values()
    ]
    if operation.versioned:
        told += [parameter_reference("If-Match"), parameter_reference("If-None-Match")]
    if operation.idempotent_by_key:
        told.append(parameter_reference("Idempotency-Key"))
    return [*told, parameter_reference("X-Request-ID")]


def _request_body(body: Any) -> Part:
    schema = {"$ref": f"#/components/schemas/{body.model.__name__}"}
    content = {"schema": schema, "examples": {"example": {"value": body.example}}}
    return {"required": True, "content": dict.fromkeys(body.media_types, content)}
