"""The shapes on the wire: what comes in, what goes out, in camelCase. Those of accounts: `account_schemas`.

Field names are the core's; `rename` and `name=` make the wire's of them (`wire_names` says the same
for faults). What comes in checks shape alone, rules are the core's.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from taskflow_core import Action, BatchAction, Priority, Status
from taskflow_core.use_cases.tasks.batch import BATCH_MAX
from taskflow_http import patterns
from taskflow_http.times import TimeIn

if TYPE_CHECKING:
    from taskflow_core import TaskStats as TaskStatsView
    from taskflow_core import TaskView

Title = Annotated[str, Meta(extra_json_schema=patterns.TITLE)]
Description = Annotated[str, Meta(extra_json_schema=patterns.DESCRIPTION)]
Time = Annotated[TimeIn, Meta(extra_json_schema={"type": "string"} | patterns.TIME)]
"""One that comes in."""
Moment = Annotated[datetime, Meta(tz=True)]
"""One that goes out, with its offset: of no other does msgspec say in the schema that it is a time."""
NextCursor = Annotated[str | None, Meta(description="The `cursor` of the next page; null on the last page.")]
Version = Annotated[int, Meta(description="1 at creation, one more with each change; the `ETag` in quotes.")]


class In(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What comes in."""


class NewTask(In):
    """A task to create."""

    title: Title
    description: Description | None = None
    status: Status = Status.PENDING
    priority: Priority = Priority.MEDIUM
    due_date: Time | None = None
    user_id: Annotated[UUID, Meta(description="The owner. Default: the caller.")] | UnsetType = UNSET


class TaskPatch(In):
    """Changes to a task: a field that is absent stays as it is, null clears it."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    due_date: Time | UnsetType | None = UNSET
    user_id: Annotated[UUID, Meta(description="The new owner.")] | UnsetType = UNSET


class BatchItem(In):
    """A task of a batch, and the version that it must have."""

    id: UUID
    version: int | UnsetType = UNSET


class Batch(In):
    """One action on many tasks; an id that occurs twice counts once."""

    action: BatchAction
    items: Annotated[list[UUID | BatchItem], Meta(min_length=1, max_length=BATCH_MAX)] = msgspec.field(
        name="tasks"
    )
    changes: TaskPatch | UnsetType = msgspec.field(name="set", default=UNSET)
    mode: Annotated[
        Literal["atomic", "partial"],
        Meta(description="`atomic`: all tasks or none. `partial`: every task that can be changed."),
    ] = "atomic"


class Out(Struct, rename="camel"):
    """What goes out."""


class Task(Out):
    """A task."""

    id: UUID
    title: str
    description: str | None
    status: Status
    priority: Priority
    due_date: Moment | None
    user_id: UUID
    created_at: Moment
    updated_at: Moment
    completed_at: Moment | None
    version: Version

    @classmethod
    def of(cls, view: TaskView) -> Task:
        """Return what goes out of a task."""
        return cls(
            view.id, view.title, view.description, view.status, view.priority, view.due_date, view.user_id,
            view.created_at, view.updated_at, view.completed_at, view.version,
        )  # fmt: skip


class TaskPage(Out):
    """A page of tasks."""

    data: list[Task]
    next_cursor: NextCursor


StatusCounts = msgspec.defstruct("StatusCounts", [(status.value, int) for status in Status])
PriorityCounts = msgspec.defstruct("PriorityCounts", [(priority.value, int) for priority in Priority])


class TaskStats(Out):
    """Numbers of tasks, without deleted ones."""

    total: int
    by_status: StatusCounts  # type: ignore[valid-type]
    by_priority: PriorityCounts  # type: ignore[valid-type]
    overdue: Annotated[int, Meta(description="Open, and due before `asOf`.")]
    as_of: Moment

    @classmethod
    def of(cls, stats: TaskStatsView) -> TaskStats:
        """Return what goes out of statistics."""
        return cls(
            stats.total,
            StatusCounts(*(stats.by_status[status] for status in Status)),
            PriorityCounts(*(stats.by_priority[priority] for priority in Priority)),
            stats.overdue,
            stats.as_of,
        )


class FieldChange(Out):
    """The values of a field before and after a change."""

    before: str | None = msgspec.field(name="from")
    after: str | None = msgspec.field(name="to")


class HistoryEntry(Out):
    """A version of a task: who changed what, and when."""

    id: UUID
    at: Moment
    actor_id: Annotated[str, Meta(description="A user's id, or `operator` for the command line.")]
    action: Action
    changes: dict[str, FieldChange]
    request_id: str | None


class HistoryPage(Out):
    """A page of a task's history, newest first."""

    data: list[HistoryEntry]
    next_cursor: NextCursor


class FaultEntry(Out, omit_defaults=True):
    """A fault of the input: in the body at `pointer`, or in the query `parameter`."""

    detail: str
    pointer: Annotated[str, Meta(description="A JSON Pointer (RFC 6901) into the body.")] | UnsetType = UNSET
    parameter: Annotated[str, Meta(description="The name of a query parameter.")] | UnsetType = UNSET


class Problem(Out, omit_defaults=True):
    """An error (RFC 9457). `code` is stable; `title` and `detail` are for people and may change."""

    type: Annotated[
        str, Meta(description="`urn:taskflow:problem:` and the code.", extra_json_schema={"format": "uri"})
    ]
    title: str
    status: Annotated[int, Meta(description="The status of the response.")]
    detail: str
    code: str
    request_id: Annotated[str, Meta(description="The `X-Request-ID` of the response.")] | UnsetType = UNSET
    errors: (
        Annotated[list[FaultEntry], Meta(description="All faults of the input, 100 at most.")] | UnsetType
    ) = UNSET
    results: Annotated[
        list[BatchOutcome], Meta(description="Of an atomic batch; nothing was changed.")
    ] | UnsetType = UNSET  # fmt: skip
    checks: (
        Annotated[dict[str, Literal["up", "down"]], Meta(description="Of readiness, by dependency.")]
        | UnsetType
    ) = UNSET


class BatchOutcome(Out, omit_defaults=True):
    """The result of a batch for one task; `problem` says why it failed."""

    id: UUID
    status: Literal["ok", "failed"]
    problem: Problem | UnsetType = UNSET


class BatchAnswer(Out):
    """The results of a batch: one for each distinct id, in the order of the request."""

    results: list[BatchOutcome]
    succeeded: int
    failed: int


class Start(Out):
    """Where to read on."""

    documentation: Annotated[str, Meta(description="Path of the page that shows this API.")]
    openapi: Annotated[str, Meta(description="Path of the OpenAPI document.")]


class Liveness(Out):
    """The process responds."""

    status: Literal["ok"]


class Readiness(Out):
    """Whether this instance can serve requests, and the state of each dependency."""

    status: Literal["ok", "degraded"]
    checks: dict[str, Literal["up", "down"]]
