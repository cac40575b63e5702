"""A collection of requests as an `.http` file, which JetBrains IDEs and VS Code's REST Client run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from taskflow_http.table import OPERATIONS

if TYPE_CHECKING:
    from taskflow_http.operations import Operation

_HEAD: Final = """\
# TaskFlow's HTTP API, made by `taskflow openapi --format http`, against a running `taskflow dev`.
# The account is its demo admin, which exists in `taskflow dev` only; elsewhere write one of your own here.
#
# Send "logIn" first: its answer has the token. Where a request needs an id it is that of the answer to
# "createTask", "createUser", "listSessions" or "listDeadJobs", so send that one before.
# After "changePassword" the new one goes to @password.
# For a dead job: taskflow jobs sample --fail 1 --tries 1
@base = http://localhost:3000
@email = admin@example.com
@password = admin123
@token = {{logIn.response.body.$.access_token}}
@id = {{createTask.response.body.$.id}}
@userId = {{createUser.response.body.$.id}}
@sessionId = {{listSessions.response.body.$.data[0].id}}
@jobId = {{listDeadJobs.response.body.$.data[0].id}}
# With the same key a task is made once in 24 hours, however often this is sent; for another, take another.
@key = write-the-report
"""
_IDS: Final = (("/users/", "{{userId}}"), ("/auth/sessions/", "{{sessionId}}"), ("/jobs/", "{{jobId}}"))
_BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "logIn": {"email": "{{email}}", "password": "{{password}}"},
    "refresh": {"refresh_token": "{{logIn.response.body.$.refresh_token}}"},
    "changePassword": {"currentPassword": "{{password}}"},
    "changeTasks": {"tasks": ["{{id}}"]},
    "retryJobs": {"kind": "sample.refund"},
}
"""What an example says otherwise where it is to be sent."""


def http_file() -> str:
    """Return a request for each operation."""
    return "\n".join([_HEAD, *map(_request, OPERATIONS)])


def _request(operation: Operation) -> str:
    id_ = next((id_ for prefix, id_ in _IDS if operation.path.startswith(prefix)), "{{id}}")
    path = operation.path.replace("{id}", id_).replace("{file}", "start.js")
    lines = [
        f"### {operation.summary}",
        f"# @name {operation.name}",
        f"{operation.method} {{{{base}}}}{path}",
    ]
    if operation.secured:
        lines.append("Authorization: Bearer {{token}}")
    if operation.name == "createTask":
        lines.append("Idempotency-Key: {{key}}")
    if operation.body is not None:
        lines.append(f"Content-Type: {operation.body.media_types[0]}")
        body = {**operation.body.example, **_BODIES.get(operation.name, {})}
        lines += ["", json.dumps(body, indent=2, ensure_ascii=False)]
    return "\n".join(lines) + "\n"
