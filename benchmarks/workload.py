"""The requests of the load run: for wrk as a script in Lua, for the driver in Python as bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final, NamedTuple


class Target(NamedTuple):
    """A user whom requests are made for, with a bearer token and some tasks."""

    token: str
    email: str
    ids: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A kind of request. In `path` and `body` stand `$id` (one of the user's tasks), `$ids` (all of them,
    as JSON), `$number` (unique), `$status` (another for each visit to the user) and `$email`.

    Attributes:
        most_connections: At a time, where fewer are enough.
        writes: Whether it changes what is there.
    """

    name: str
    method: str
    path: str
    body: str = ""
    most_connections: int = 10_000
    writes: bool = False


PASSWORD: Final = "correct horse battery staple"
NEW_TASK: Final = (
    '{"title": "Call back $number", "description": "About the offer of last week, and dates for the next.", '
    '"priority": "HIGH", "dueDate": "2030-01-31T17:00:00Z"}'
)
ENDPOINTS: Final = (
    Endpoint(name="read one", method="GET", path="/tasks/$id"),
    Endpoint(name="list", method="GET", path="/tasks?limit=10"),
    Endpoint(name="stats", method="GET", path="/tasks/stats"),
    Endpoint(name="create", method="POST", path="/tasks", body=NEW_TASK, writes=True),
    Endpoint(
        name="change",
        method="PATCH",
        path="/tasks/$id",
        body='{"title": "Call back $number", "status": "$status"}',
        writes=True,
    ),
    Endpoint(
        name="batch of 20",
        method="POST",
        path="/tasks/batch",
        body='{"action": "update", "tasks": $ids, "set": {"status": "$status"}}',
        writes=True,
    ),
    Endpoint(
        name="log in",
        method="POST",
        path="/auth/login",
        body=f'{{"email": "$email", "password": "{PASSWORD}"}}',
        most_connections=4,
    ),
)

STATUSES: Final = ("IN_PROGRESS", "PENDING")
"""In turn; before the first visit all tasks are PENDING."""


def write_targets(path: Path, targets: Sequence[Target]) -> None:
    """Write a line a user, for the script to read."""
    lines = (" ".join([target.token, target.email, *target.ids]) for target in targets)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def requests(endpoint: Endpoint, targets: Sequence[Target], first: int) -> Iterator[bytes]:
    """Yield the bytes of request after request, user by user in turn, as the script does."""
    path, body = Template(endpoint.path), Template(endpoint.body)
    number = first
    for visit in range(10**9):
        for target in targets:
            number += 1
            values = {
                "id": target.ids[visit % len(target.ids)],
                "ids": '["' + '","'.join(target.ids) + '"]',
                "number": str(number),
                "status": STATUSES[visit % 2],
                "email": target.email,
            }
            content = body.substitute(values).encode()
            head = (
                f"{endpoint.method} {path.substitute(values)} HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Bearer {target.token}\r\n"
            )
            if content:
                head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
            yield head.encode() + b"\r\n" + content


_SCRIPT: Final = Template("""
local threads = 0
function setup(thread)
  thread:set("index", threads)
  threads = threads + 1
end

local users, turn, visit, number = {}, 0, 0, 0
function init(args)
  local line_number = 0
  for line in io.lines("$targets") do
    if line_number % $threads == index then
      local words = {}
      for word in line:gmatch("%S+") do words[#words + 1] = word end
      local user = {token = words[1], email = words[2], ids = {}}
      for i = 3, #words do user.ids[#user.ids + 1] = words[i] end
      user.all = '["' .. table.concat(user.ids, '","') .. '"]'
      users[#users + 1] = user
    end
    line_number = line_number + 1
  end
  number = $first + index * 100000000
end

function request()
  turn = turn + 1
  if turn > #users then
    turn, visit = 1, visit + 1
  end
  number = number + 1
  local user = users[turn]
  local id = user.ids[visit % #user.ids + 1]
  local status = visit % 2 == 0 and "$even" or "$odd"
  local head = "$method " .. $path .. " HTTP/1.1\\r\\nHost: localhost\\r\\n"
    .. "Authorization: Bearer " .. user.token .. "\\r\\n"
  local body = $body
  if body == "" then
    return head .. "\\r\\n"
  end
  return head .. "Content-Type: application/json\\r\\nContent-Length: " .. #body .. "\\r\\n\\r\\n" .. body
end

function done(summary, latency, requests)
  local e = summary.errors
  local result = 'RESULT {"requests": %d, "seconds": %.6f, "errors": %d, "p50": %.3f, "p99": %.3f}\\n'
  io.write(string.format(result,
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
""")

_LUA_VALUES: Final = {
    "id": "id",
    "ids": "user.all",
    "number": "string.format('%d', number)",
    "status": "status",
    "email": "user.email",
}


def script(endpoint: Endpoint, targets: Path, *, threads: int, first: int) -> str:
    """Return the script that makes wrk send these requests, each thread for users of its own."""
    return _SCRIPT.substitute(
        targets=targets,
        threads=threads,
        first=first,
        method=endpoint.method,
        path=_lua(endpoint.path),
        body=_lua(endpoint.body),
        even=STATUSES[0],
        odd=STATUSES[1],
    )


def _lua(text: str) -> str:
    """Return an expression in Lua that puts the text together."""
    parts = []
    at = 0
    for found in Template.pattern.finditer(text):
        parts += [f"[==[{text[at : found.start()]}]==]", _LUA_VALUES[found["named"]]]
        at = found.end()
    return " .. ".join([*parts, f"[==[{text[at:]}]==]"])
