"""The tree of errors and what each tells."""

import inspect
from collections import Counter
from textwrap import dedent

import pytest

import taskflow_core
from support.samples import new_id
from taskflow_core import (
    BatchFailed,
    BatchResult,
    Conflict,
    Contention,
    Fault,
    InvalidCredentials,
    InvalidInput,
    NotFound,
    RateLimited,
    RefreshReused,
    TaskFlowError,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
    UnknownOwner,
    errors,
)


def subclasses(kind: type[TaskFlowError]) -> list[type[TaskFlowError]]:
    return [each for child in kind.__subclasses__() for each in (child, *subclasses(child))]


ALL = [kind for kind in subclasses(TaskFlowError) if kind.__module__ == errors.__name__]


def made(kind: type[TaskFlowError]) -> TaskFlowError:
    arguments: dict[type[TaskFlowError], tuple[object, ...]] = {
        InvalidInput: ([],), BatchFailed: ([],), RateLimited: (1,), TooManyAttempts: (1,),
    }  # fmt: skip
    return kind(*arguments.get(kind, ()))  # type: ignore[arg-type]  # each as its class wants it


@pytest.mark.parametrize("kind", ALL)
def test_each_has_a_code_and_a_sentence_for_people(kind: type[TaskFlowError]) -> None:
    error = made(kind)
    assert error.detail
    assert error.detail.endswith(".")
    assert error.detail in str(error)
    assert kind.code == kind.code.lower()


def test_codes_are_their_own_but_for_what_is_one_to_clients() -> None:
    shared = {code: n for code, n in Counter(kind.code for kind in ALL).items() if n > 1}
    assert shared == {"invalid": 2}
    assert TaskFlowError.code not in {kind.code for kind in ALL}


def test_each_is_public() -> None:
    assert {kind.__name__ for kind in ALL} <= set(taskflow_core.__all__)


def test_the_tree_is_the_one_that_is_drawn() -> None:
    drawn = dedent((inspect.getdoc(errors) or "").partition("TaskFlowError\n")[2].partition("\n\n")[0])
    parents = {0: "TaskFlowError"}
    lines: list[tuple[str, str, str]] = []
    for line in drawn.splitlines():
        name, code = line.split("── ")[1].split()[:2]
        depth = line.index("──") // 4 + 1
        lines.append((name, parents[depth - 1], code))
        parents[depth] = name
    assert sorted(lines) == sorted((k.__name__, k.__base__.__name__, k.code) for k in ALL if k.__base__)


def test_a_detail_replaces_the_sentence() -> None:
    assert NotFound().detail == str(NotFound()) == "It does not exist, or you may not see it."
    assert NotFound("No such task.").detail == str(NotFound("No such task.")) == "No such task."


def test_input_is_told_with_every_fault_and_where() -> None:
    faults = [Fault(("tasks", 3, "title"), "must not be empty"), Fault((), "is no object")]
    error = InvalidInput(iter(faults), "Look:")
    assert error.faults == tuple(faults)
    assert str(error) == "Look: tasks.3.title: must not be empty; input: is no object"
    assert str(InvalidInput([])) == "The input is not valid."


def test_an_unknown_owner_is_a_fault_of_the_field() -> None:
    assert [fault.path for fault in UnknownOwner().faults] == [("user_id",)]


def test_who_is_not_known_is_one_kind_whatever_the_reason() -> None:
    assert issubclass(InvalidCredentials, Unauthenticated)
    assert issubclass(RefreshReused, Unauthenticated)


def test_a_failed_batch_tells_of_each_item() -> None:
    results = [BatchResult(new_id()), BatchResult(new_id(), NotFound())]
    assert BatchFailed(results).results == tuple(results)
    assert isinstance(BatchFailed(results), Conflict)


def test_what_is_unavailable_tells_when_to_come_again() -> None:
    assert Unavailable().retry_after == 1
    assert Contention(retry_after=7).retry_after == 7
    assert Contention("Busy.").detail == "Busy."


@pytest.mark.parametrize(
    ("seconds", "told"), [(-1, 1), (0, 1), (0.001, 1), (1, 1), (1.001, 2), (11.9, 12), (300, 300)]
)
def test_a_limit_tells_in_whole_seconds_when_to_come_again(seconds: float, told: int) -> None:
    for error in (RateLimited(seconds), TooManyAttempts(seconds)):
        assert error.retry_after == told
        assert isinstance(error.retry_after, int)
    assert RateLimited(1, "Slowly.").detail == "Slowly."
