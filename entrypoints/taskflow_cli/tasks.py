"""`taskflow tasks`: everything that one does with tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import click

from taskflow_cli import options
from taskflow_cli.exporting import export_tasks
from taskflow_cli.importing import import_tasks
from taskflow_cli.listing import Listing, amount, filters, history_lines, query_of
from taskflow_cli.session import Session, with_session
from taskflow_cli.tables import BELOW, CUT, FOLD, WHOLE
from taskflow_core import (
    UNSET,
    Batch,
    BatchAction,
    BatchItem,
    HistoryQuery,
    NewTask,
    Priority,
    Status,
    TaskChange,
    TaskChanges,
    TaskDeletion,
    TaskRestoration,
    TaskView,
)
from taskflow_core.queries import LIMIT_DEFAULT, LIMIT_MAX
from taskflow_http import problems, schemas

_COLUMNS = {"ID": BELOW, "Title": CUT, "Status": WHOLE, "Priority": WHOLE, "Due": FOLD}
_HISTORY = {"At": FOLD, "Actor ID": BELOW, "Action": WHOLE, "Changes": FOLD}
_DUE_HELP = "When it is due. Local time unless it has an offset; a date is the end of its day."


@click.group()
def tasks() -> None:
    """Work with tasks.

    Acts as the operator, who may do all and owns nothing, or as a person with --as.
    """


@tasks.command("list")
@filters("-createdAt")
@amount
@with_session
async def list_(session: Session, limit: int | None, **chosen: Any) -> None:
    """List tasks, newest first."""
    listing = Listing(session.do.list_tasks, session.actor, limit)
    query = await query_of(session, chosen)
    found = [task async for task in listing.items(query)]
    if session.out.as_json:
        session.out.json({"data": [schemas.Task.of(task) for task in found], "more": listing.more})
        return
    columns, rows = _COLUMNS, [_row(task) for task in found]
    if query.owner is None:
        emails = await session.taskflow.user_reads.emails({task.user_id for task in found})
        columns = _COLUMNS | {"Owner": BELOW}
        rows = [(*_row(task), emails.get(task.user_id, task.user_id)) for task in found]
    session.out.table(columns, rows, empty="No tasks.")
    listing.tell_more()


@tasks.command()
@click.argument("task_id", type=click.UUID)
@with_session
async def show(session: Session, task_id: UUID) -> None:
    """Show one task."""
    session.out.record(schemas.Task.of(await session.do.find_task(task_id, session.actor)))


@tasks.command()
@click.argument("title")
@click.option("--description", help="What it is about.")
@click.option("--status", type=options.STATUS, default=Status.PENDING)
@click.option("--priority", type=options.PRIORITY, default=Priority.MEDIUM)
@click.option("--due", type=options.DUE, help=_DUE_HELP)
@click.option("--owner", metavar="EMAIL|ID", help="Whose it is to be; needed unless you act as a person.")
@with_session
async def create(
    session: Session, title: str, owner: str | None, due: datetime | None, **fields: Any
) -> None:
    """Create a task."""
    owner_id = None if owner is None else await session.user_id(owner)
    new = NewTask(title=title, due_date=due, user_id=owner_id, **fields)
    session.out.record(schemas.Task.of(await session.do.create_task(new, session.actor)))


@tasks.command()
@click.argument("task_id", type=click.UUID)
@click.option("--title")
@click.option("--description", help="What it is about; empty for none.")
@click.option("--status", type=options.STATUS)
@click.option("--priority", type=options.PRIORITY)
@click.option("--due", type=options.DUE, help=_DUE_HELP)
@click.option("--no-due", is_flag=True, help="It is due at no time.")
@click.option("--owner", metavar="EMAIL|ID", help="Whose it is to be.")
@options.if_version
@with_session
async def update(session: Session, task_id: UUID, if_version: int | None, **fields: Any) -> None:
    """Change a task; what is not given stays."""
    if fields.pop("no_due"):
        if fields["due"] is not None:
            raise click.UsageError("--due and --no-due exclude each other.")
        due: datetime | Any | None = None
    else:
        due = UNSET if fields["due"] is None else fields["due"]
    owner = fields["owner"]
    given = {
        name: UNSET if fields[name] is None else fields[name] for name in ("title", "status", "priority")
    }
    description = UNSET if fields["description"] is None else fields["description"] or None
    user_id = UNSET if owner is None else await session.user_id(owner)
    changes = TaskChanges(**given, description=description, due_date=due, user_id=user_id)
    if not changes.given():
        raise click.UsageError("Say what is to change; see --help.")
    changed = await session.do.change_task(TaskChange(task_id, changes, if_version), session.actor)
    session.out.record(schemas.Task.of(changed))


@tasks.command()
@click.argument("task_ids", type=click.UUID, nargs=-1, required=True)
@options.yes
@with_session
async def complete(session: Session, task_ids: tuple[UUID, ...], yes: bool) -> None:
    """Complete tasks; several at once are all completed, or none."""
    if len(set(task_ids)) > 1:
        await _batch(session, BatchAction.COMPLETE, task_ids, "Complete", yes=yes)
        return
    change = TaskChange(task_ids[0], TaskChanges(status=Status.COMPLETED))
    session.out.record(schemas.Task.of(await session.do.change_task(change, session.actor)))


@tasks.command()
@click.argument("task_ids", type=click.UUID, nargs=-1, required=True)
@options.if_version
@options.yes
@with_session
async def delete(session: Session, task_ids: tuple[UUID, ...], if_version: int | None, yes: bool) -> None:
    """Delete tasks; for 30 days they can be restored. Several at once are all deleted, or none."""
    if len(set(task_ids)) > 1:
        if if_version is not None:
            raise click.UsageError("--if-version is for one task.")
        await _batch(session, BatchAction.DELETE, task_ids, "Delete", yes=yes)
        return
    await session.do.delete_task(TaskDeletion(task_ids[0], if_version), session.actor)
    session.out.say(f"Deleted. To have it back: taskflow tasks restore {task_ids[0]}")


@tasks.command()
@click.argument("task_id", type=click.UUID)
@with_session
async def restore(session: Session, task_id: UUID) -> None:
    """Bring a deleted task back."""
    restored = await session.do.restore_task(TaskRestoration(task_id), session.actor)
    session.out.record(schemas.Task.of(restored))


@tasks.command()
@click.argument("task_id", type=click.UUID)
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=LIMIT_DEFAULT, show_default=True)
@with_session
async def history(session: Session, task_id: UUID, limit: int) -> None:
    """Show what happened to a task, newest first."""
    page = await session.do.read_history(HistoryQuery(task_id=task_id, limit=limit), session.actor)
    lines = [history_lines(entry) for entry in page.items]
    if session.out.as_json:
        session.out.json({"data": lines, "more": page.next_before is not None})
        return
    rows = [(line.at, line.actor_id, line.action, _changes(line)) for line in lines]
    session.out.table(_HISTORY, rows, empty="No history.")


@tasks.command()
@options.owner
@with_session
async def stats(session: Session, owner: str | None) -> None:
    """Count tasks by status and by priority."""
    found = schemas.TaskStats.of(await session.do.count_tasks(await session.owner(owner), session.actor))
    if session.out.as_json:
        session.out.json(found)
        return
    counts: list[tuple[str, object]] = [("total", found.total), ("overdue", found.overdue)]
    counts += [(status.value, getattr(found.by_status, status.value)) for status in Status]
    counts += [(priority.value, getattr(found.by_priority, priority.value)) for priority in Priority]
    session.out.table({"": WHOLE, "Tasks": WHOLE}, counts, empty="")


tasks.add_command(import_tasks)
tasks.add_command(export_tasks)


async def _batch(
    session: Session, action: BatchAction, ids: tuple[UUID, ...], verb: str, *, yes: bool
) -> None:
    options.confirm(f"{verb} {len(set(ids))} tasks?", yes=yes)
    batch = Batch(action=action, items=tuple(BatchItem(id) for id in ids))
    # It is atomic: one that cannot be done raises.
    results = [problems.outcome(result) for result in await session.do.change_tasks(batch, session.actor)]
    if session.out.as_json:
        session.out.json(schemas.BatchAnswer(results, succeeded=len(results), failed=0))
    session.out.say(f"{verb}d {len(results)} tasks.")


def _row(task: TaskView) -> tuple[object, ...]:
    return task.id, task.title, task.status, task.priority, task.due_date


def _changes(entry: schemas.HistoryEntry) -> str:
    return "\n".join(f"{name}: {c.before or '-'} -> {c.after or '-'}" for name, c in entry.changes.items())
