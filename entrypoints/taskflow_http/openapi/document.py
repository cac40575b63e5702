"""The OpenAPI 3.1 document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

import taskflow_core
from taskflow_core import JobState, Priority, Role, Status
from taskflow_http.openapi.answers import answers, examples
from taskflow_http.openapi.headers import (
    ANSWER_HEADERS,
    REQUEST_HEADERS,
    SECURITY_SCHEMES,
    Part,
    parameter_reference,
)
from taskflow_http.schemas import Problem
from taskflow_http.table import OPERATIONS

if TYPE_CHECKING:
    from taskflow_http.operations import Operation

_DESCRIPTION: Final = """\
Tasks and the people who have them.

- **Times** are RFC 3339, in any offset in, in UTC out. **Ids** are UUIDs (version 7).
- **Errors** are problem documents (RFC 9457). `code` is stable. Of bad input `errors` tells every fault, by
  JSON Pointer into the body or by the name of the query parameter.
- **Lists** give `nextCursor` and a `Link` to the next page. A cursor is good for the query that gave it, with
  any `limit`. Unknown, repeated and impossible parameters are refused, never ignored.
- **Versions**: one task or user has an `ETag`. `If-None-Match` saves reading it again, `If-Match` keeps from
  overwriting what somebody else did meanwhile. A change of what has no `ETag` refuses both with 400.
- **Limits**: log-in, refresh and registration are limited by address, all that takes a token by user, a batch
  by its tasks. `RateLimit` tells what remains; 429 comes with `Retry-After`. Tokens that are refused count
  against the address that sent them.
- **Requests that are done once**: POST (but for `/auth/`) with an `Idempotency-Key` is done once in 24 hours
  however often it is sent; other methods need none and ignore it. With another path or body it is refused.
- What one may not see is answered like what does not exist.
- A name that stands twice in a JSON object counts by its last value.
"""

_PATH_PARAMETERS: Final[dict[str, Part]] = {
    "{id}": {"type": "string", "format": "uuid"},
    "{file}": {
        "type": "string",
        "enum": ["start.js", "swagger_bundle.js", "swagger_preset.js", "swagger_style.css"],
    },
}


def openapi_document() -> Part:
    """Return the OpenAPI 3.1 document of the HTTP API."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "TaskFlow",
            "version": taskflow_core.__version__,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in OPERATIONS)],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "examples": examples(OPERATIONS),
            "headers": ANSWER_HEADERS,
            "parameters": REQUEST_HEADERS,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def openapi_json() -> bytes:
    """Return the document as JSON."""
    return msgspec.json.encode(openapi_document())


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
        "parameters": _parameters(operation),
        "responses": answers(operation),
    }
    if operation.description:
        told["description"] = operation.description
    if operation.body is not None:
        told["requestBody"] = _request_body(operation.body)
    if not operation.secured:
        told["security"] = []
    return told


def _parameters(operation: Operation) -> list[Part]:
    told = [
        {"name": template[1:-1], "in": "path", "required": True, "schema": schema}
        for template, schema in _PATH_PARAMETERS.items()
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
        | ({"style": "form", "explode": False} if parameter.schema.get("type") == "array" else {})
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


def _schemas() -> Part:
    bodies = [operation.body.model for operation in OPERATIONS if operation.body is not None]
    answered = [operation.answer for operation in OPERATIONS if operation.answer is not None]
    types = dict.fromkeys([*bodies, *answered, Problem, Status, Priority, Role, JobState])
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return dict(sorted(components.items()))
