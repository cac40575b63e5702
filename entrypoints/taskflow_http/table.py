"""The table of routes, in the order in which they are tried."""

from __future__ import annotations

from typing import Final

from taskflow_http.operations import Operation
from taskflow_http.routes import auth, documentation, health, jobs, sessions, task_lists, tasks, users

OPERATIONS: Final[tuple[Operation, ...]] = (
    *tasks.OPERATIONS,
    *task_lists.OPERATIONS,
    *users.OPERATIONS,
    *auth.OPERATIONS,
    *sessions.OPERATIONS,
    *jobs.OPERATIONS,
    *health.OPERATIONS,
    *documentation.OPERATIONS,
)
"""Those that are asked for most come first. `{id}` matches UUIDs only, so it hides no other path."""
