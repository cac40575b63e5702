"""Tasks, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskflow_core import (
    Forbidden,
    InvalidTransition,
    NewTask,
    NotFound,
    QuotaExceeded,
    TaskChange,
    TaskChanges,
    TaskDeletion,
    TaskRestoration,
    TaskView,
    VersionMismatch,
)
from taskflow_http import schemas
from taskflow_http.bodies import JSON_TYPE, MERGE_PATCH_TYPE, Body
from taskflow_http.idempotency import done_once
from taskflow_http.operations import Operation, Services
from taskflow_http.preconditions import expected_version
from taskflow_http.replies import Reply
from taskflow_http.routes.answers import created, given, versioned

if TYPE_CHECKING:
    from taskflow_http.calls import Call


async def find_task(call: Call, services: Services) -> Reply:
    """Read a task."""
    return versioned(schemas.Task.of(await services.use_cases.find_task(call.id, call.actor)))


async def create_task(call: Call, services: Services) -> Reply:
    """Make a task."""

    def reply(view: TaskView) -> Reply:
        return created(schemas.Task.of(view), call.link(f"/tasks/{view.id}"))

    return await done_once(call, services.use_cases.create_task, NewTask(**given(call.body)), reply)


async def change_task(call: Call, services: Services) -> Reply:
    """Change a task."""
    command = TaskChange(call.id, TaskChanges(**given(call.body)), expected_version(call))
    return versioned(schemas.Task.of(await services.use_cases.change_task(command, call.actor)))


async def delete_task(call: Call, services: Services) -> Reply:
    """Delete a task, softly."""
    await services.use_cases.delete_task(TaskDeletion(call.id, expected_version(call)), call.actor)
    return Reply(204)


async def restore_task(call: Call, services: Services) -> Reply:
    """Bring a deleted task back."""

    def reply(view: TaskView) -> Reply:
        return versioned(schemas.Task.of(view))

    command = TaskRestoration(call.id, expected_version(call))
    return await done_once(call, services.use_cases.restore_task, command, reply)


_EXAMPLE: Final = {
    "title": "Write the report",
    "description": "With the figures of the third quarter.",
    "priority": "HIGH",
    "dueDate": "2030-01-31T17:00:00Z",
}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/tasks/{id}",
        name="findTask",
        tag="tasks",
        summary="Get a task",
        description="404 for a deleted task, and for one that the caller may not see.",
        handler=find_task,
        versioned=True,
        answer=schemas.Task,
        headers=("ETag",),
        errors=(NotFound,),
    ),
    Operation(
        method="PATCH",
        path="/tasks/{id}",
        name="changeTask",
        tag="tasks",
        summary="Change a task",
        description=(
            "A merge patch (RFC 7396): a field that is absent stays, null clears it. An open task "
            "(`PENDING`, `IN_PROGRESS`) may get any other status; a closed one (`COMPLETED`, `CANCELLED`) "
            "either open status. If nothing changes, there is no new version and no history entry."
        ),
        handler=change_task,
        body=Body(
            schemas.TaskPatch,
            example={"status": "IN_PROGRESS", "dueDate": None},
            media_types=(MERGE_PATCH_TYPE, JSON_TYPE),
        ),
        versioned=True,
        answer=schemas.Task,
        headers=("ETag",),
        errors=(Forbidden, NotFound, InvalidTransition, QuotaExceeded, VersionMismatch),
    ),
    Operation(
        method="DELETE",
        path="/tasks/{id}",
        name="deleteTask",
        tag="tasks",
        summary="Delete a task",
        description="It can be restored for 30 days.",
        handler=delete_task,
        versioned=True,
        status=204,
        errors=(Forbidden, NotFound, VersionMismatch),
    ),
    Operation(
        method="POST",
        path="/tasks/{id}/restore",
        name="restoreTask",
        tag="tasks",
        summary="Restore a deleted task",
        description="A task that is not deleted is returned unchanged.",
        handler=restore_task,
        versioned=True,
        idempotent_by_key=True,
        answer=schemas.Task,
        headers=("ETag",),
        errors=(Forbidden, NotFound),
    ),
    Operation(
        method="POST",
        path="/tasks",
        name="createTask",
        tag="tasks",
        summary="Create a task",
        description="Only `title` is required.",
        handler=create_task,
        body=Body(schemas.NewTask, example=_EXAMPLE),
        idempotent_by_key=True,
        status=201,
        answer=schemas.Task,
        headers=("Location", "ETag"),
        errors=(Forbidden, QuotaExceeded),
    ),
)
