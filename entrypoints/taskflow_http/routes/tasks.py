"""Tasks, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskflow_core import (
    Forbidden,
    InvalidTransition,
    NewTask,
    NotFound,
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
from taskflow_http.operations import Condition, Operation, Services
from taskflow_http.preconditions import at_expected_version
from taskflow_http.replies import Reply
from taskflow_http.routes.answers import changed, cost_of_texts, created, found, given

if TYPE_CHECKING:
    from taskflow_http.calls import Call


async def find_task(call: Call, services: Services) -> Reply:
    """Read a task."""
    return found(schemas.Task.of(await services.use_cases.find_task(call.id, call.actor)), call)


async def create_task(call: Call, services: Services) -> Reply:
    """Make a task."""

    def reply(view: TaskView) -> Reply:
        return created(schemas.Task.of(view), call.link(f"/tasks/{view.id}"))

    return await done_once(call, services.use_cases.create_task, NewTask(**given(call.body)), reply)


async def change_task(call: Call, services: Services) -> Reply:
    """Change a task."""
    changes = TaskChanges(**given(call.body))

    async def attempt(version: int | None) -> TaskView:
        return await services.use_cases.change_task(TaskChange(call.id, changes, version), call.actor)

    return changed(schemas.Task.of(await at_expected_version(call, attempt)))


async def delete_task(call: Call, services: Services) -> Reply:
    """Delete a task, softly."""

    async def attempt(version: int | None) -> None:
        await services.use_cases.delete_task(TaskDeletion(call.id, version), call.actor)

    await at_expected_version(call, attempt)
    return Reply(204)


async def restore_task(call: Call, services: Services) -> Reply:
    """Bring a deleted task back."""

    def reply(view: TaskView) -> Reply:
        return changed(schemas.Task.of(view))

    return await done_once(call, services.use_cases.restore_task, TaskRestoration(call.id), reply)


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
        summary="Read a task",
        handler=find_task,
        condition=Condition.IF_NONE_MATCH,
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
            "What is left out stays, null clears (RFC 7396). Open tasks (PENDING, IN_PROGRESS) go to any "
            "other status; closed ones (COMPLETED, CANCELLED) to either open one. A change that changes "
            "nothing makes no version and no history."
        ),
        handler=change_task,
        cost=cost_of_texts,
        body=Body(
            schemas.TaskPatch,
            example={"status": "IN_PROGRESS", "dueDate": None},
            media_types=(MERGE_PATCH_TYPE, JSON_TYPE),
        ),
        condition=Condition.IF_MATCH,
        answer=schemas.Task,
        headers=("ETag",),
        errors=(Forbidden, NotFound, InvalidTransition, VersionMismatch),
    ),
    Operation(
        method="DELETE",
        path="/tasks/{id}",
        name="deleteTask",
        tag="tasks",
        summary="Delete a task",
        description="For 30 days it can be restored.",
        handler=delete_task,
        condition=Condition.IF_MATCH,
        status=204,
        errors=(Forbidden, NotFound, VersionMismatch),
    ),
    Operation(
        method="POST",
        path="/tasks/{id}/restore",
        name="restoreTask",
        tag="tasks",
        summary="Restore a deleted task",
        description="One that is not deleted is answered as it is.",
        handler=restore_task,
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
        summary="Make a task",
        handler=create_task,
        cost=cost_of_texts,
        body=Body(schemas.NewTask, example=_EXAMPLE),
        idempotent_by_key=True,
        status=201,
        answer=schemas.Task,
        headers=("Location", "ETag"),
        errors=(Forbidden,),
    ),
)
