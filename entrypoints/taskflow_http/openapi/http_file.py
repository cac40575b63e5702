"""A collection of requests as an `.http` file, which JetBrains IDEs and VS Code's REST Client run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from taskflow_http.table import OPERATIONS

if TYPE_CHECKING:
    from taskflow_http.operations import Operation

_HEAD: Final = """\
# TaskFlow's HTTP API, made by `taskflow openapi --format http`. Sign in with "logIn" first.
@base = http://localhost:3000
@id = 01890a5d-ac96-774b-bcce-b302099a8057
@token = {{logIn.response.body.$.access_token}}
"""


def http_file() -> str:
    """Return a request for each operation."""
    return "\n".join([_HEAD, *map(_request, OPERATIONS)])


def _request(operation: Operation) -> str:
    path = operation.path.replace("{id}", "{{id}}").replace("{file}", "start.js")
    lines = [
        f"### {operation.summary}",
        f"# @name {operation.name}",
        f"{operation.method} {{{{base}}}}{path}",
    ]
    if operation.secured:
        lines.append("Authorization: Bearer {{token}}")
    if operation.body is not None:
        lines.append(f"Content-Type: {operation.body.media_types[0]}")
        lines += ["", json.dumps(operation.body.example, indent=2, ensure_ascii=False)]
    return "\n".join(lines) + "\n"
