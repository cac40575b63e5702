"""Whether what was acknowledged is there, once and whole, and nothing else is."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

from benchmarks.faults.findings import Finding, broken, doubled, lost
from benchmarks.faults.records import Attempt, Book, Operation
from benchmarks.faults.snapshot import EntryRow, Snapshot, TaskRow
from taskflow_core.tasks import as_text

ByRequest: TypeAlias = Mapping[str, Sequence[EntryRow]]


def of_writes(book: Book, found: Snapshot) -> Iterator[Finding]:
    """Yield what is wrong with what the clients asked for."""
    entries = by_request(found)
    for operation in book.operations:
        yield from _of_answers(operation, found)
        if operation.action:
            yield from _of_traces(operation, entries)
    asked = {attempt.request_id for attempt in book.attempts()}
    for request_id in entries.keys() - asked:
        yield broken(f"history tells of request {request_id}, which nobody sent")
    yield from (broken(f"stale: {what}") for what in book.stale)
    if found.without_answer:
        yield broken(f"{found.without_answer} idempotency keys are kept without an answer")


def by_request(found: Snapshot) -> ByRequest:
    """Return what each request left in the history of tasks."""
    entries = defaultdict(list)
    for entry in chain.from_iterable(found.history.values()):
        entries[str(entry.request_id)].append(entry)
    return entries


def _of_answers(operation: Operation, found: Snapshot) -> Iterator[Finding]:
    """Yield what is wrong with what was answered."""
    bodies = {attempt.body for attempt in operation.attempts if attempt.acknowledged}
    if operation.key and len(bodies) > 1:
        yield doubled(f"{operation}: one key, but {len(bodies)} different answers")
    if operation.acknowledged and operation.doomed:
        yield broken(f"{operation}: could not be done, and was acknowledged")
    if operation.key and operation.acknowledged and operation.actor is not None:
        kept = found.keys[operation.actor, operation.key]
        if kept != 1:
            yield lost(f"{operation}: its key is kept {kept} times")
    for attempt in operation.attempts:
        if attempt.refused and not _is_right(attempt, operation):
            yield broken(f"{operation}: refused with {attempt.status} {attempt.body[:300]!r}")
    for code in operation.misuses:
        if code != "idempotency_key_reused":
            yield broken(f"{operation}: another body with the same key was answered {code}")


def _is_right(refused: Attempt, operation: Operation) -> bool:
    if operation.doomed or operation.may_be_refused:
        return True
    return refused.status == 409 and code_of(refused.body) == "request_in_progress"


def code_of(body: bytes) -> str:
    """Return the code of a problem; "" where it is none."""
    try:
        return str(json.loads(body).get("code", ""))
    except (ValueError, AttributeError):
        return ""


def _of_traces(operation: Operation, entries: ByRequest) -> Iterator[Finding]:
    """Yield what is wrong with what it left in the history of tasks."""
    traced = [attempt for attempt in operation.attempts if attempt.request_id in entries]
    if operation.acknowledged and not traced and not operation.may_change_nothing:
        yield lost(f"{operation}: acknowledged, and left nothing")
    if len(traced) > 1:
        yield doubled(f"{operation}: done {len(traced)} times")
    for attempt in traced:
        if attempt.refused or operation.doomed or not attempt.sent:
            yield broken(f"{operation}: refused or never sent, and left something")
        yield from _of_entries(operation, entries[attempt.request_id])


def _of_entries(operation: Operation, entries: Sequence[EntryRow]) -> Iterator[Finding]:
    times = Counter(entry.task_id for entry in entries)
    if max(times.values()) > 1:
        yield doubled(f"{operation}: changed a task twice")
    if operation.tasks and times.keys() != set(operation.tasks):
        yield broken(
            f"{operation}: changed {len(times)} tasks, not the {len(operation.tasks)} that it was for"
        )
    if not operation.tasks and len(times) > 1:
        yield doubled(f"{operation}: made {len(times)} tasks")
    for entry in entries:
        told = {name: entry.changes.get(name, [None, None])[1] for name in operation.changes}
        if entry.action != operation.action or told != operation.changes:
            yield broken(f"{operation}: history tells of {entry.action} {told}")
        version = operation.versions.get(entry.task_id, entry.version)
        if version != entry.version:
            yield lost(f"{operation}: acknowledged as version {version}, kept as {entry.version}")


def of_history(found: Snapshot) -> Iterator[Finding]:
    """Yield where the history of a task does not add up to the task."""
    for task in found.tasks.values():
        entries = found.history.get(task.id, [])
        if not entries:
            yield broken(f"task {task.id} has no history")
            continue
        versions = [entry.version for entry in entries]
        if versions != list(range(1, task.version + 1)):
            yield broken(f"task {task.id} is at version {task.version}; its history has {versions}")
        yield from _of_steps(task, entries)
    for orphan in found.history.keys() - found.tasks.keys():
        yield broken(f"history of task {orphan}, which is not there")


def _of_steps(task: TaskRow, entries: Sequence[EntryRow]) -> Iterator[Finding]:
    state: dict[str, str | None] = {}
    for entry in entries:
        for name, (before, after) in entry.changes.items():
            if state.get(name) != before:
                yield broken(
                    f"task {task.id}, version {entry.version}: {name} was {state.get(name)!r} before"
                )
            state[name] = after
    for name, value in task.fields.items():
        if as_text(value) != state.get(name):
            yield broken(f"task {task.id}: {name} is {value!r}, and {state.get(name)!r} by its history")
    if is_deleted(entry.action for entry in entries) != (task.deleted_at is not None):
        yield broken(f"task {task.id}: deleted at {task.deleted_at}, not so by its history")
    if (task.status == "COMPLETED") != (task.completed_at is not None):
        yield broken(f"task {task.id}: {task.status}, completed at {task.completed_at}")
    if entries[-1].at != task.updated_at:
        yield broken(f"task {task.id}: updated at {task.updated_at}, at {entries[-1].at} by its history")


def is_deleted(actions: Iterable[str]) -> bool:
    """Return whether a task is deleted after these actions."""
    turns = [action for action in actions if action in ("deleted", "restored")]
    return bool(turns) and turns[-1] == "deleted"
