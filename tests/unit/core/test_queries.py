"""Questions: what may be asked."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest

from support.samples import NOW, new_id
from taskflow_core import (
    HistoryQuery,
    InvalidInput,
    Position,
    Status,
    TaskQuery,
    TaskSort,
    UserQuery,
    UserSort,
)
from taskflow_core.queries import check_query, choices

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001  what is to be refused
ABSURD = datetime.max.replace(tzinfo=UTC)


def faults(query: TaskQuery | UserQuery | HistoryQuery) -> list[str]:
    try:
        check_query(query)
    except InvalidInput as error:
        return [str(fault.path[0]) for fault in error.faults]
    return []


@pytest.mark.parametrize(
    ("limit", "fine"), [(-1, False), (0, False), (1, True), (100, True), (101, False), (2**80, False)]
)
def test_a_limit_is_1_to_100_and_never_clamped(limit: int, *, fine: bool) -> None:
    expected = [] if fine else ["limit"]
    assert faults(TaskQuery(owner=None, limit=limit)) == expected
    assert faults(UserQuery(limit=limit)) == expected
    assert faults(HistoryQuery(task_id=new_id(), limit=limit)) == expected


@pytest.mark.parametrize(
    ("search", "fine"),
    [
        (None, True),
        ("x", True),
        (" ", True),
        ("x" * 255, True),
        ("", False),
        ("x" * 256, False),
        ("\0", False),
    ],
)
def test_a_search_has_1_to_255_characters(search: str | None, *, fine: bool) -> None:
    expected = [] if fine else ["search"]
    assert faults(TaskQuery(owner=None, search=search)) == expected
    assert faults(UserQuery(search=search)) == expected


@pytest.mark.parametrize("name", ["created_from", "created_to", "due_from", "due_to"])
@pytest.mark.parametrize(("time", "fine"), [(None, True), (NOW, True), (NAIVE, False), (ABSURD, False)])
def test_times_are_checked(name: str, time: datetime | None, *, fine: bool) -> None:
    given: dict[str, Any] = {name: time}
    assert faults(TaskQuery(owner=None, **given)) == ([] if fine else [name])


def test_all_faults_are_told() -> None:
    position = Position("x", new_id(), NOW)
    query = TaskQuery(owner=None, limit=0, search="", created_from=NAIVE, due_to=ABSURD, after=position)
    assert faults(query) == ["limit", "search", "created_from", "due_to", "after"]


KEYS: list[datetime | int | str | None] = [None, NOW, 1, "a@b"]
FITTING: dict[TaskSort | UserSort, list[object]] = {
    TaskSort.CREATED_AT: [None],
    TaskSort.DUE_DATE: [None, NOW],
    TaskSort.PRIORITY: [1],
    TaskSort.UPDATED_AT: [NOW],
}


@pytest.mark.parametrize("sort", TaskSort)
def test_a_position_must_be_one_in_this_list_of_tasks(sort: TaskSort) -> None:
    assert faults(TaskQuery(owner=None, sort=sort)) == []
    for key in KEYS:
        query = TaskQuery(owner=None, sort=sort, after=Position(key, new_id(), NOW))
        assert faults(query) == ([] if key in FITTING[sort] else ["after"]), key


@pytest.mark.parametrize(("sort", "fitting"), [(UserSort.CREATED_AT, None), (UserSort.EMAIL, "a@b")])
def test_a_position_must_be_one_in_this_list_of_users(sort: UserSort, fitting: object) -> None:
    assert faults(UserQuery(sort=sort)) == []
    for key in KEYS:
        query = UserQuery(sort=sort, after=Position(key, new_id(), NOW))
        assert faults(query) == ([] if key == fitting else ["after"]), key


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (None, tuple(Status)), (Status.COMPLETED, (Status.COMPLETED,)),
        ({Status.COMPLETED, Status.PENDING}, (Status.PENDING, Status.COMPLETED)), ((), ()),
    ],
)  # fmt: skip
def test_a_filter_lets_one_or_several_pass(
    given: Status | Collection[Status] | None, passed: tuple[Status, ...]
) -> None:
    assert choices(Status, given) == passed


@pytest.mark.parametrize("name", ["status", "priority"])
def test_a_filter_by_no_value_is_refused(name: str) -> None:
    given: dict[str, Any] = {name: ()}
    assert faults(TaskQuery(owner=None, **given)) == [name]
