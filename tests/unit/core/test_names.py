"""Names that are stored in databases and that clients rely on: to change one is to break somebody."""

from enum import StrEnum

import pytest

from taskflow_core import (
    Action,
    BatchAction,
    JobKind,
    JobState,
    NoticeKind,
    Permission,
    Priority,
    Role,
    Status,
    TaskSort,
    UserSort,
)

NAMES: dict[type[StrEnum], list[str]] = {
    Status: ["PENDING", "IN_PROGRESS", "COMPLETED", "CANCELLED"],
    Priority: ["LOW", "MEDIUM", "HIGH"],
    Action: ["created", "updated", "deleted", "restored"],
    Role: ["user", "manager", "admin"],
    BatchAction: ["complete", "delete", "update"],
    TaskSort: ["created_at", "due_date", "priority", "updated_at"],
    UserSort: ["created_at", "email"],
    Permission: [
        "tasks:see:any",
        "tasks:change:any",
        "tasks:delete:any",
        "users:see",
        "users:manage",
        "events:see:any",
        "jobs:see",
        "jobs:steer",
    ],
    JobState: ["pending", "running", "done", "dead"],
    JobKind: [
        "task.overdue",
        "task.assigned",
        "task.reassigned",
        "security.event",
        "sample.refund",
        "clean_up.sessions",
        "clean_up.idempotency_keys",
        "clean_up.ledger",
        "clean_up.tasks",
        "clean_up.users",
        "clean_up.login_attempts",
    ],
    NoticeKind: ["task.overdue", "task.assigned", "task.reassigned", "security.event"],
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_stay(kind: type[StrEnum]) -> None:
    assert [member.value for member in kind] == NAMES[kind]
