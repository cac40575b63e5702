"""Tasks, many at a time: lists, statistics, history, batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from taskflow_core import (
    Batch,
    BatchAction,
    BatchFailed,
    BatchItem,
    Fault,
    Forbidden,
    HistoryQuery,
    InvalidInput,
    NotFound,
    Priority,
    QuotaExceeded,
    Status,
    TaskChanges,
    TaskQuery,
    TaskSort,
    UnknownOwner,
)
from taskflow_core import HistoryEntry as HistoryEntryView
from taskflow_core.queries import LIMIT_DEFAULT
from taskflow_http import parameters, schemas
from taskflow_http.bodies import Body
from taskflow_http.errors import InvalidCursor, InvalidRequest, MalformedRequest
from taskflow_http.idempotency import done_once
from taskflow_http.limits import BYTES_OF_A_REQUEST
from taskflow_http.operations import Operation, Services
from taskflow_http.problems import outcome
from taskflow_http.replies import Reply, json_reply
from taskflow_http.routes.answers import given, page, queried_owner
from taskflow_http.wire_names import wire_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from taskflow_core import BatchResult
    from taskflow_http.calls import Call

_FILTERS: Final = (
    "status", "priority", "search", "created_from", "created_to", "due_from", "due_to", "overdue", "deleted",
)  # fmt: skip


async def list_tasks(call: Call, services: Services) -> Reply:
    """List tasks, a page at a time."""
    values = {name: value for name, value in call.query.values.items() if name != "owner"}
    owner = queried_owner(call)
    sort, descending = values.pop("sort", (TaskSort.CREATED_AT, True))
    limit = values.pop("limit", LIMIT_DEFAULT)
    cursor = values.pop("cursor", None)
    told = ("tasks", owner, sort, descending, *map(values.get, _FILTERS))
    after = None if cursor is None else services.cursors.open(cursor, told)
    query = TaskQuery(owner=owner, sort=sort, descending=descending, limit=limit, after=after, **values)
    listed = await services.use_cases.list_tasks(query, call.actor)
    following = None if listed.next is None else services.cursors.seal(listed.next, told)
    return page(schemas.TaskPage([schemas.Task.of(view) for view in listed.items], following), call)


async def count_tasks(call: Call, services: Services) -> Reply:
    """Count tasks."""
    owner = queried_owner(call)
    return json_reply(schemas.TaskStats.of(await services.use_cases.count_tasks(owner, call.actor)))


async def read_history(call: Call, services: Services) -> Reply:
    """Read what happened to a task."""
    limit = call.query.values.get("limit", LIMIT_DEFAULT)
    cursor = call.query.values.get("cursor")
    told = ("history", call.id)
    before = None if cursor is None else services.cursors.open_number(cursor, told)
    query = HistoryQuery(task_id=call.id, limit=limit, before_version=before)
    listed = await services.use_cases.read_history(query, call.actor)
    following = None if listed.next_before is None else services.cursors.seal_number(listed.next_before, told)
    return page(schemas.HistoryPage([_history_entry(entry) for entry in listed.items], following), call)


async def change_tasks(call: Call, services: Services) -> Reply:
    """Do the same to many tasks."""
    body: schemas.Batch = call.body
    changes = {} if body.changes is msgspec.UNSET else given(body.changes)
    if body.action is not BatchAction.UPDATE and body.changes is not msgspec.UNSET and not changes:
        # To the core, changes of nothing are no changes.
        raise InvalidRequest([Fault(("set",), "must be left out unless the action is an update")], "body")
    command = Batch(
        action=body.action,
        items=tuple(_batch_item(item) for item in body.items),
        changes=TaskChanges(**changes),
        atomic=body.mode == "atomic",
    )
    try:
        return await done_once(call, services.use_cases.change_tasks, command, _batch_reply)
    except UnknownOwner as error:
        # The core names the field of a task, which in a batch lies deeper.
        raise InvalidInput([Fault(("changes", *f.path), f.detail) for f in error.faults]) from error


def _batch_reply(results: Sequence[BatchResult]) -> Reply:
    failed = sum(result.error is not None for result in results)
    outcomes = [outcome(result) for result in results]
    return json_reply(schemas.BatchAnswer(outcomes, len(outcomes) - failed, failed))


def _batch_item(item: UUID | schemas.BatchItem) -> BatchItem:
    if not isinstance(item, schemas.BatchItem):
        return BatchItem(item)
    return BatchItem(item.id, None if item.version is msgspec.UNSET else item.version)


def _searches_or_leaves_own(call: Call) -> bool:
    """Return whether a query reads long texts, or tasks of others: neither is served by one owner's index."""
    return "search" in call.query.values or queried_owner(call) != call.actor.id


def _cost(body: schemas.Batch) -> int:
    text = None if body.changes is msgspec.UNSET else body.changes.description
    written = len(text.encode()) if isinstance(text, str) else 0
    return len(body.items) * (1 + written // BYTES_OF_A_REQUEST)


def _history_entry(entry: HistoryEntryView) -> schemas.HistoryEntry:
    changes = {
        wire_name(name): schemas.FieldChange(change.before, change.after)
        for name, change in entry.changes.items()
    }
    actor = "operator" if entry.actor_id is None else str(entry.actor_id)
    return schemas.HistoryEntry(entry.id, entry.at, actor, entry.action, changes, entry.request_id)


_SORT_KEYS: Final = {
    "createdAt": TaskSort.CREATED_AT,
    "dueDate": TaskSort.DUE_DATE,
    "priority": TaskSort.PRIORITY,
    "updatedAt": TaskSort.UPDATED_AT,
}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/tasks",
        name="listTasks",
        tag="tasks",
        summary="List tasks",
        description=(
            "Newest first by default. Sorted by `dueDate`, tasks without a due date come last in either "
            "direction. A task whose sort key does not change is on exactly one page."
        ),
        handler=list_tasks,
        expensive=_searches_or_leaves_own,
        parameters=parameters.named(
            (
                parameters.enumerations("status", Status, "Only tasks with one of these statuses."),
                parameters.enumerations("priority", Priority, "Only tasks with one of these priorities."),
                parameters.OWNER,
                parameters.SEARCH,
                parameters.time("createdFrom", "created_from", "Created at this time or later."),
                parameters.time("createdTo", "created_to", "Created before this time."),
                parameters.time("dueFrom", "due_from", "Due at this time or later."),
                parameters.time("dueTo", "due_to", "Due before this time."),
                parameters.flag(
                    "overdue",
                    "`true`: only tasks that are open and past their due date; `false`: all others.",
                ),
                parameters.flag("deleted", "`true`: only deleted tasks. Default: `false`."),
                parameters.sort(_SORT_KEYS, "-createdAt"),
                parameters.LIMIT,
                parameters.CURSOR,
            )
        ),
        answer=schemas.TaskPage,
        headers=("Link",),
        errors=(Forbidden, InvalidCursor),
    ),
    Operation(
        method="GET",
        path="/tasks/stats",
        name="countTasks",
        tag="tasks",
        summary="Count tasks",
        description="By status and by priority, and how many are overdue.",
        handler=count_tasks,
        expensive=_searches_or_leaves_own,
        parameters=parameters.named((parameters.OWNER,)),
        answer=schemas.TaskStats,
        errors=(Forbidden,),
    ),
    Operation(
        method="GET",
        path="/tasks/{id}/history",
        name="readHistory",
        tag="tasks",
        summary="Get the history of a task",
        description="One entry for each version, newest first.",
        handler=read_history,
        parameters=parameters.named((parameters.LIMIT, parameters.CURSOR)),
        answer=schemas.HistoryPage,
        headers=("Link",),
        errors=(NotFound, InvalidCursor),
    ),
    Operation(
        method="POST",
        path="/tasks/batch",
        name="changeTasks",
        tag="tasks",
        summary="Change many tasks",
        description=(
            "All tasks or none, unless `mode` is `partial`. The action `update` takes the changes in `set`; "
            "no other action has it. `If-Match` is refused: give a task its `version` instead."
        ),
        handler=change_tasks,
        cost=_cost,
        expensive=lambda _: True,
        idempotent_by_key=True,
        body=Body(
            schemas.Batch,
            example={
                "action": "update",
                "tasks": [
                    "01890a5d-ac96-774b-bcce-b302099a8057",
                    {"id": "01890a5d-ac96-774b-bcce-b302099a8058", "version": 3},
                ],
                "set": {"priority": "LOW"},
                "mode": "partial",
            },
        ),
        answer=schemas.BatchAnswer,
        errors=(MalformedRequest, Forbidden, BatchFailed, QuotaExceeded),
    ),
)
