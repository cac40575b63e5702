"""Tasks: their fields' rules, every transition, and the history that it leaves."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest

from support.samples import NOW, new_id, new_task
from taskflow_core import (
    Action,
    Actor,
    FieldChange,
    HistoryEntry,
    InvalidInput,
    InvalidTransition,
    NotFound,
    Priority,
    Status,
    Task,
    TaskChanges,
    TaskView,
    VersionMismatch,
)
from taskflow_core.tasks import RESTORE_WITHIN, as_text, check_description, check_time, check_title

OWNER, OTHER = new_id(), new_id()
ACTOR = Actor(new_id(), request_id="request-1")
LATER = NOW + timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)


def create(**given: Any) -> tuple[Task, HistoryEntry]:
    fields: dict[str, Any] = {
        "id": new_id(),
        "entry_id": new_id(),
        "user_id": OWNER,
        "title": "A task",
        "actor": ACTOR,
        "now": NOW,
    }
    return Task.create(**fields | given)


def change(task: Task, *, now: datetime = LATER, **changes: Any) -> HistoryEntry | None:
    return task.change(TaskChanges(**changes), entry_id=new_id(), actor=ACTOR, now=now)


def refused(rule: Callable[[Any], object], value: object) -> bool:
    try:
        rule(value)
    except ValueError:
        return True
    return False


class TestRules:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("x", "x"),
            ("  two words \n", "two words"),
            ("\u3000\u2003買う\u00a0", "買う"),
            ("x" * 255, "x" * 255),
            (" " * 300 + "x" * 255 + " " * 300, "x" * 255),
            ("\U0001f680" * 255, "\U0001f680" * 255),
            ("a\nb", "a\nb"),
            ("%_\\'\";--", "%_\\'\";--"),
        ],
    )
    def test_titles_are_kept_trimmed(self, given: str, kept: str) -> None:
        assert check_title(given) == kept

    @pytest.mark.parametrize(
        "title", ["", " ", "\t\n\u3000\u2003", "\u200b\u2800", "x" * 256, "a\0b", "\ud800", "ß\udc00"]
    )
    def test_titles_that_are_refused(self, title: str) -> None:
        assert refused(check_title, title)

    @pytest.mark.parametrize("description", [None, "", " untrimmed ", "x" * 10_000, "ß" * 10_000])
    def test_descriptions_are_kept_as_they_are(self, description: str | None) -> None:
        assert check_description(description) == description

    @pytest.mark.parametrize("description", ["x" * 10_001, "\0", "\udfff"])
    def test_descriptions_that_are_refused(self, description: str) -> None:
        assert refused(check_description, description)

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            (None, None),
            (NOW, NOW),
            (
                datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
                datetime(2026, 1, 1, 10, tzinfo=UTC),
            ),
            (datetime(1900, 1, 1, tzinfo=UTC), datetime(1900, 1, 1, tzinfo=UTC)),
            (
                datetime(1899, 12, 31, 23, tzinfo=timezone(-timedelta(hours=1))),
                datetime(1900, 1, 1, tzinfo=UTC),
            ),
            (
                datetime(9998, 12, 31, 23, 59, 59, 999_999, UTC),
                datetime(9998, 12, 31, 23, 59, 59, 999_999, UTC),
            ),
        ],
    )
    def test_times_are_kept_in_utc(self, given: datetime | None, kept: datetime | None) -> None:
        checked = check_time(given)
        assert checked == kept
        assert checked is None or checked.tzinfo is UTC

    @pytest.mark.parametrize(
        "time",
        [
            datetime(2026, 1, 1),  # noqa: DTZ001  what is to be refused
            datetime(1899, 12, 31, 23, 59, 59, 999_999, UTC),
            datetime(1900, 1, 1, tzinfo=timezone(timedelta(minutes=1))),
            datetime(9999, 1, 1, tzinfo=UTC),
            datetime.max.replace(tzinfo=UTC),
            datetime.min.replace(tzinfo=UTC),
            datetime.max.replace(tzinfo=timezone(-timedelta(hours=23))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=23))),
        ],
    )
    def test_naive_and_absurd_times_are_refused(self, time: datetime) -> None:
        assert refused(check_time, time)

    def test_a_zone_that_knows_no_offset_is_none(self) -> None:
        class Nowhere(tzinfo):
            def utcoffset(self, _: datetime | None) -> None:
                return None

            def dst(self, _: datetime | None) -> None:
                return None

            def tzname(self, _: datetime | None) -> None:
                return None

        assert refused(check_time, datetime(2026, 1, 1, tzinfo=Nowhere()))

    def test_priorities_have_an_order(self) -> None:
        assert [priority.rank for priority in (Priority.LOW, Priority.MEDIUM, Priority.HIGH)] == [0, 1, 2]

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, None),
            ("", ""),
            (Status.PENDING, "PENDING"),
            pytest.param(OWNER, str(OWNER), id="an id"),
            (NOW, "2026-11-03T09:30:15.123000Z"),
            (datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2026-01-01T10:00:00Z"),
        ],
    )
    def test_history_keeps_values_as_text(self, value: object, text: str | None) -> None:
        assert as_text(value) == text


class TestCreation:
    def test_a_new_task_is_pending_at_version_1(self) -> None:
        id, entry_id = new_id(), new_id()
        task, entry = create(id=id, entry_id=entry_id, title=" A task ")
        assert task == new_task(OWNER, id=id, title="A task")
        told = {
            "title": FieldChange(None, "A task"),
            "status": FieldChange(None, "PENDING"),
            "priority": FieldChange(None, "MEDIUM"),
            "user_id": FieldChange(None, str(OWNER)),
        }
        assert entry == HistoryEntry(entry_id, id, 1, NOW, ACTOR.id, Action.CREATED, told, "request-1")

    def test_all_that_is_given_is_kept_and_told(self) -> None:
        due = datetime(2027, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
        task, entry = create(description="", status=Status.IN_PROGRESS, priority=Priority.HIGH, due_date=due)
        assert (task.description, task.status, task.priority) == ("", Status.IN_PROGRESS, Priority.HIGH)
        assert task.due_date == due
        assert task.due_date.tzinfo is UTC
        assert entry.changes["description"] == FieldChange(None, "")
        assert entry.changes["due_date"] == FieldChange(None, "2027-01-01T00:00:00Z")

    @pytest.mark.parametrize("status", Status)
    def test_only_a_completed_one_is_completed(self, status: Status) -> None:
        task, _ = create(status=status)
        assert task.completed_at == (NOW if status is Status.COMPLETED else None)

    def test_all_faults_are_told(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            create(title=" ", description="\0", due_date=datetime.max.replace(tzinfo=UTC))
        assert [fault.path for fault in caught.value.faults] == [("title",), ("description",), ("due_date",)]

    def test_the_operator_is_told_as_nobody(self) -> None:
        _, entry = create(actor=Actor.operator())
        assert (entry.actor_id, entry.request_id) == (None, None)


TRANSITIONS = {
    Status.PENDING: {Status.IN_PROGRESS, Status.COMPLETED, Status.CANCELLED},
    Status.IN_PROGRESS: {Status.PENDING, Status.COMPLETED, Status.CANCELLED},
    Status.COMPLETED: {Status.PENDING, Status.IN_PROGRESS},
    Status.CANCELLED: {Status.PENDING, Status.IN_PROGRESS},
}


class TestStatus:
    @pytest.mark.parametrize(("before", "after"), list(itertools.product(Status, Status)))
    def test_every_transition(self, before: Status, after: Status) -> None:
        task = new_task(OWNER, status=before)
        untouched = replace(task)
        if after is before:
            assert change(task, status=after) is None
            assert task == untouched
        elif after in TRANSITIONS[before]:
            entry = change(task, status=after)
            assert entry is not None
            assert entry.changes == {"status": FieldChange(before.value, after.value)}
            assert (task.status, task.version) == (after, 2)
            assert task.completed_at == (LATER if after is Status.COMPLETED else None)
        else:
            with pytest.raises(InvalidTransition, match=f"{before} cannot become {after}"):
                change(task, status=after, title="not this either")
            assert task == untouched

    @pytest.mark.parametrize("status", Status)
    def test_what_is_open(self, status: Status) -> None:
        assert status.is_open is (status in {Status.PENDING, Status.IN_PROGRESS})

    def test_completed_at_stays_while_other_things_change(self) -> None:
        task = new_task(OWNER, status=Status.COMPLETED)
        change(task, title="Another", status=Status.COMPLETED)
        assert (task.title, task.completed_at) == ("Another", NOW)

    @pytest.mark.parametrize("status", Status)
    @pytest.mark.parametrize(
        ("due", "late"),
        [(None, False), (NOW, False), (NOW + MILLISECOND, False), (NOW - MILLISECOND, True)],
    )
    def test_only_open_tasks_that_were_due_are_overdue(
        self, status: Status, due: datetime | None, *, late: bool
    ) -> None:
        assert new_task(OWNER, status=status, due_date=due).is_overdue(NOW) is (late and status.is_open)


CHANGES: dict[str, tuple[Any, Any, str | None, str | None]] = {
    "title": ("A task", "Another", "A task", "Another"),
    "description": (None, "Some", None, "Some"),
    "status": (Status.PENDING, Status.IN_PROGRESS, "PENDING", "IN_PROGRESS"),
    "priority": (Priority.MEDIUM, Priority.LOW, "MEDIUM", "LOW"),
    "due_date": (None, NOW, None, "2026-11-03T09:30:15.123000Z"),
    "user_id": (OWNER, OTHER, str(OWNER), str(OTHER)),
}


class TestChange:
    @pytest.mark.parametrize("name", CHANGES)
    def test_each_field_alone(self, name: str) -> None:
        before, after, told_before, told_after = CHANGES[name]
        task = new_task(OWNER)
        changes: dict[str, Any] = {name: after}
        expected = replace(task, **changes, version=2, updated_at=LATER)
        assert getattr(task, name) == before
        entry = change(task, **changes)
        assert task == expected
        assert entry is not None
        assert entry.changes == {name: FieldChange(told_before, told_after)}
        assert (entry.task_id, entry.version, entry.at) == (task.id, 2, LATER)
        assert (entry.action, entry.actor_id, entry.request_id) == (Action.UPDATED, ACTOR.id, "request-1")

    def test_all_fields_at_once_are_one_version(self) -> None:
        task = new_task(OWNER)
        changes: dict[str, Any] = {name: after for name, (_, after, _, _) in CHANGES.items()}
        entry = change(task, **changes)
        assert entry is not None
        assert entry.changes.keys() == CHANGES.keys()
        assert task.version == 2

    @pytest.mark.parametrize("name", ["description", "due_date"])
    def test_none_clears_what_may_be_cleared(self, name: str) -> None:
        task = new_task(OWNER, description="Some", due_date=NOW)
        changes: dict[str, Any] = {name: None}
        entry = change(task, **changes)
        assert entry is not None
        assert getattr(task, name) is None
        assert entry.changes[name].after is None

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"title": "A task"},
            {"title": "  A task  "},
            {"due_date": NOW.astimezone(timezone(timedelta(hours=5)))},
            {name: before for name, (before, *_) in CHANGES.items() if name != "due_date"},
        ],
    )
    def test_what_changes_nothing_makes_no_version_and_no_history(self, changes: dict[str, Any]) -> None:
        task = new_task(OWNER, due_date=NOW)
        untouched = replace(task)
        assert change(task, **changes) is None
        assert task == untouched

    def test_only_what_differs_is_told(self) -> None:
        entry = change(new_task(OWNER), title="A task", priority=Priority.HIGH)
        assert entry is not None
        assert entry.changes.keys() == {"priority"}

    def test_a_fault_leaves_the_task_as_it_was(self) -> None:
        task = new_task(OWNER)
        untouched = replace(task)
        with pytest.raises(InvalidInput) as caught:
            change(task, title="", description="x" * 10_001, status=Status.COMPLETED)
        assert [fault.path for fault in caught.value.faults] == [("title",), ("description",)]
        assert task == untouched

    def test_versions_count_changes_one_by_one(self) -> None:
        task, entry = create()
        entries: list[HistoryEntry | None] = [entry]
        for n in range(5):
            entries.append(change(task, title=f"{n}"))
            assert change(task, title=f"{n}") is None
        assert [each and each.version for each in entries] == [1, 2, 3, 4, 5, 6]

    def test_a_clock_behind_never_moves_a_task_back(self) -> None:
        task = new_task(OWNER, updated_at=LATER)
        entry = change(task, title="Another", now=NOW)
        assert entry is not None
        assert task.updated_at == entry.at == LATER


class TestDeletion:
    def test_it_is_a_version_of_its_own(self) -> None:
        task = new_task(OWNER)
        expected = replace(task, deleted_at=LATER, updated_at=LATER, version=2)
        entry = task.delete(entry_id=new_id(), actor=ACTOR, now=LATER)
        assert task == expected
        assert (entry.action, entry.version, entry.changes) == (Action.DELETED, 2, {})

    def test_what_is_deleted_cannot_be_worked_with(self) -> None:
        task = new_task(OWNER, deleted_at=NOW)
        untouched = replace(task)
        with pytest.raises(NotFound):
            task.require_live()
        with pytest.raises(NotFound):
            change(task, title="Another")
        with pytest.raises(NotFound):
            task.delete(entry_id=new_id(), actor=ACTOR, now=LATER)
        assert task == untouched

    def test_restored_it_is_as_it_was(self) -> None:
        task = new_task(OWNER, status=Status.COMPLETED)
        before = replace(task)
        task.delete(entry_id=new_id(), actor=ACTOR, now=NOW)
        entry = task.restore(entry_id=new_id(), actor=ACTOR, now=LATER)
        assert entry is not None
        assert (entry.action, entry.version, entry.changes) == (Action.RESTORED, 3, {})
        assert task == replace(before, version=3, updated_at=LATER)
        task.require_live()

    def test_what_is_not_deleted_is_not_restored(self) -> None:
        task = new_task(OWNER)
        untouched = replace(task)
        assert task.restore(entry_id=new_id(), actor=ACTOR, now=LATER) is None
        assert task == untouched

    def test_thirty_days_it_can_be_restored_and_not_a_moment_longer(self) -> None:
        assert timedelta(days=30) == RESTORE_WITHIN
        task = new_task(OWNER, deleted_at=NOW)
        untouched = replace(task)
        with pytest.raises(NotFound):
            task.restore(entry_id=new_id(), actor=ACTOR, now=NOW + RESTORE_WITHIN + MILLISECOND)
        assert task == untouched
        assert task.restore(entry_id=new_id(), actor=ACTOR, now=NOW + RESTORE_WITHIN)


def test_a_version_must_be_the_present_one_where_it_is_given() -> None:
    task = new_task(OWNER, version=3)
    task.require_version(None)
    task.require_version(3)
    for version in (2, 4, 0):
        with pytest.raises(VersionMismatch):
            task.require_version(version)


def test_a_view_shows_every_field_but_when_it_was_deleted() -> None:
    task, _ = create(description="Some", status=Status.COMPLETED, priority=Priority.LOW, due_date=LATER)
    change(task, title="Another")
    view = TaskView.of(task)
    shown = {name: getattr(view, name) for name in TaskView.__slots__}
    assert shown == {name: getattr(task, name) for name in Task.__slots__ if name != "deleted_at"}
