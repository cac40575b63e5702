"""Change many tasks in one unit of work: all of them or none, or as many as can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from taskflow_core.errors import BatchFailed, BatchResult, Fault, InvalidInput, NotFound, TaskFlowError
from taskflow_core.fields import UNSET, check_fields
from taskflow_core.permissions import (
    Actor,
    require_assign,
    require_change_task,
    require_delete_task,
    require_take,
    seen_owner,
)
from taskflow_core.tasks import FIELD_RULES as TASK_RULES
from taskflow_core.tasks import Status, TaskChanges
from taskflow_core.use_cases.tasks.assigned import keep_assigned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.ports.persistence import Transaction, Transactions
    from taskflow_core.ports.time import Clock, Ids
    from taskflow_core.tasks import HistoryEntry, Task

BATCH_MAX: Final = 1_000
TEXTS_AT_ONCE: Final = 25
"""How many tasks are loaded and written at a time where descriptions change: each may be 40 KB, thrice."""


class BatchAction(StrEnum):
    """What a batch does with each of its tasks."""

    COMPLETE = "complete"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One task of a batch.

    Attributes:
        version: The version it must have; None for any.
    """

    id: UUID
    version: int | None = None


def check_items(value: Sequence[object]) -> Sequence[object]:
    """Return the items of a batch, 1 to 1,000.

    Raises:
        ValueError: They are none or too many.
    """
    if not 1 <= len(value) <= BATCH_MAX:
        raise ValueError(f"must be between 1 and {BATCH_MAX} tasks")
    return value


FIELD_RULES: Final[Mapping[str, Callable[[Any], object]]] = {"items": check_items}
"""The rule of each field of a batch that has one of its own; a rule raises ValueError with a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is to be done, and to which tasks.

    Attributes:
        items: 1 to 1,000; an id that stands twice counts once.
        changes: What an update makes of each; empty for the other actions.
        atomic: Whether one that fails keeps all others from being done.
    """

    action: BatchAction
    items: tuple[BatchItem, ...]
    changes: TaskChanges = field(default_factory=TaskChanges)
    atomic: bool = True


@dataclass(frozen=True, slots=True)
class ChangeTasks:
    """Do the same to many tasks, in one transaction.

    The number of statements is fixed, unless descriptions change: then there are three more for every
    `TEXTS_AT_ONCE` tasks, so that memory and each turn of the event loop stay bounded.
    """

    transactions: Transactions
    clock: Clock
    ids: Ids

    async def __call__(self, command: Batch, actor: Actor) -> tuple[BatchResult, ...]:
        """Return what became of each distinct item, in the order given.

        Raises:
            InvalidInput: The batch itself is at fault (its size, its changes, an id with two versions).
            Forbidden: The tasks are to go to somebody else, without the permission.
            BatchFailed: It is atomic and an item could not be done; nothing was changed.
        """
        items = _checked(command)
        new_owners = [] if command.changes.user_id is UNSET else [command.changes.user_id]
        for owner in new_owners:
            require_assign(actor, owner)
        async with self.transactions(actor.once) as transaction:
            transaction.replay()
            step = _Step(transaction, command, actor, self.clock(), self.ids)
            load = partial(transaction.tasks.load, and_owners=new_owners, of_owner=seen_owner(actor))
            tasks = await load(items, texts=False)
            if command.changes.description is UNSET:
                results = step.outcomes(items, tasks)
            else:
                # All are locked by now, in order; their long texts come and go a few at a time.
                results = ()
                for part in _parts(items):
                    results += step.outcomes(part, await load(part))
                    await transaction.flush()
            if step.failed and command.atomic:
                raise BatchFailed(results)
            await transaction.commit(results)
        return results


@dataclass(slots=True)
class _Step:
    """What a batch does to one task after the other."""

    transaction: Transaction
    command: Batch
    actor: Actor
    now: datetime
    ids: Ids
    changes: TaskChanges = field(init=False)
    failed: bool = False

    def __post_init__(self) -> None:
        completes = self.command.action is BatchAction.COMPLETE
        self.changes = TaskChanges(status=Status.COMPLETED) if completes else self.command.changes

    def outcomes(
        self, items: Mapping[UUID, int | None], tasks: Mapping[UUID, Task]
    ) -> tuple[BatchResult, ...]:
        return tuple(self._outcome(id, tasks.get(id), version) for id, version in items.items())

    def _outcome(self, id: UUID, task: Task | None, version: int | None) -> BatchResult:
        try:
            if task is None:
                raise NotFound
            entry = self._apply(task, version)
        except TaskFlowError as error:
            self.failed = True
            return BatchResult(id, error)
        if entry is not None and not (self.failed and self.command.atomic):
            self.transaction.tasks.save(task, entry)
            keep_assigned(self.transaction, task, entry, self.actor, self.ids)
        return BatchResult(id)

    def _apply(self, task: Task, version: int | None) -> HistoryEntry | None:
        deletes = self.command.action is BatchAction.DELETE
        (require_delete_task if deletes else require_change_task)(self.actor, task.user_id)
        if self.actor.id is not None and self.actor.id == self.command.changes.user_id:
            require_take(self.actor, task.user_id)
        task.require_live()
        task.require_version(version)
        entry_id = self.ids(self.now)
        if deletes:
            return task.delete(entry_id=entry_id, actor=self.actor, now=self.now)
        return task.change(self.changes, entry_id=entry_id, actor=self.actor, now=self.now)


def _parts(items: Mapping[UUID, int | None]) -> Iterator[dict[UUID, int | None]]:
    rest = iter(items.items())
    while part := dict(islice(rest, TEXTS_AT_ONCE)):
        yield part


def _checked(command: Batch) -> dict[UUID, int | None]:
    """Return the version that each distinct id must have, in the order given."""
    faults = [*_faults_of_changes(command)]
    try:
        check_items(command.items)
    except ValueError as error:
        faults.append(Fault(("items",), str(error)))
    versions: dict[UUID, int | None] = {}
    for index, item in enumerate(command.items[:BATCH_MAX]):
        if versions.setdefault(item.id, item.version) != item.version:
            faults.append(Fault(("items", index), "is there already, with another version"))
    if faults:
        raise InvalidInput(faults)
    return versions


def _faults_of_changes(command: Batch) -> list[Fault]:
    given = command.changes.given()
    updates = command.action is BatchAction.UPDATE
    if updates and not given:
        return [Fault(("changes",), "must be given for an update")]
    if given and not updates:
        return [Fault(("changes",), "must be left out unless the action is an update")]
    try:
        check_fields(TASK_RULES, given)
    except InvalidInput as error:
        return [Fault(("changes", *fault.path), fault.detail) for fault in error.faults]
    return []
