"""Every error has its exit code, and is told without a stack."""

import json
from collections.abc import Iterator

import pytest

import taskflow_core
from support.cli import Cli
from support.samples import new_id
from taskflow_bootstrap.errors import InUse, SettingsError, StartError
from taskflow_cli.errors import EXIT_CODES, exit_code
from taskflow_core import (
    BatchFailed,
    BatchResult,
    Contention,
    EmailTaken,
    Fault,
    Forbidden,
    InvalidCredentials,
    InvalidInput,
    JobNotDead,
    LastAdmin,
    NotFound,
    TaskFlowError,
    TooManyAttempts,
    Unavailable,
    VersionMismatch,
)


def core_errors() -> Iterator[type[TaskFlowError]]:
    for name in taskflow_core.__all__:
        found = getattr(taskflow_core, name)
        if isinstance(found, type) and issubclass(found, TaskFlowError) and found is not TaskFlowError:
            yield found


@pytest.mark.parametrize("error", [*core_errors()])
def test_every_error_of_the_core_has_an_exit_code(error: type[TaskFlowError]) -> None:
    assert exit_code(error) is not None


def test_the_codes_differ_and_are_none_of_the_reserved() -> None:
    codes = list(EXIT_CODES.values())
    assert len(set(codes)) == len(codes)
    assert not {0, 1, 2} & set(codes)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput([Fault(("due_date",), "must be later")]), 3),
        (NotFound(), 4),
        (Forbidden(), 5),
        (InvalidCredentials(), 6),
        (EmailTaken(), 7),
        (LastAdmin(), 7),
        (JobNotDead(), 7),
        (VersionMismatch(), 8),
        (Unavailable(), 9),
        (Contention(), 9),
        (SettingsError(["TASKFLOW_PORT is wrong."]), 10),
        (StartError("It is broken."), 11),
        (InUse("Port 3000 is taken."), 11),
        (TooManyAttempts(7.5), 12),
    ],
)
def test_errors_end_with_their_code(taskflow: Cli, error: Exception, code: int) -> None:
    taskflow.refuses = error
    ended = taskflow("tasks", "list")
    assert ended.exit_code == code
    assert ended.stdout == ""
    assert ended.stderr.startswith("Error: ")
    assert "Traceback" not in ended.stderr


def test_faults_are_told_by_the_names_of_the_api(taskflow: Cli) -> None:
    taskflow.refuses = InvalidInput([Fault(("due_date",), "must be later"), Fault((), "is odd")])
    ended = taskflow("tasks", "list")
    assert ended.stderr.splitlines()[1:] == ["  dueDate must be later", "  input is odd"]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            OSError('server at "db", port 5432: FATAL:  role "me" does not exist\n[SQL: SELECT 1]'),
            ['  OSError: server at "db", port 5432: FATAL:  role "me" does not exist'],
        ),
        (
            ValueError("postgresql://me:hunter2@db/x is away"),
            ["  ValueError: postgresql://[redacted]@db/x is away"],
        ),
        (
            ValueError("password=hunter2 \x1b[2J"),
            ["  ValueError: password=[redacted] \N{REPLACEMENT CHARACTER}[2J"],
        ),
        (TimeoutError(), ["  TimeoutError"]),
        (None, []),
    ],
    ids=["first-line", "url", "escape", "silent", "none"],
)
def test_why_something_cannot_be_reached_is_told(
    taskflow: Cli, reason: Exception | None, told: list[str]
) -> None:
    error, again = Unavailable(), Contention()
    error.__cause__, again.__cause__ = reason, error
    for taskflow.refuses in (error, again):
        ended = taskflow("tasks", "list")
        assert (ended.exit_code, ended.stderr.splitlines()[1:]) == (9, told)
        problem = json.loads(taskflow("tasks", "list", "--json").stderr)
        assert (problem["code"], problem["status"]) == (taskflow.refuses.code, 503)
        assert problem.get("reason") == (told[0].strip() if told else None)


def test_programs_get_a_problem(taskflow: Cli) -> None:
    taskflow.refuses = InvalidInput([Fault(("due_date",), "must be later")])
    problem = json.loads(taskflow("tasks", "list", "--json").stderr)
    assert problem["code"] == "invalid"
    assert problem["errors"] == [{"detail": "must be later", "pointer": "/dueDate"}]


def test_a_batch_that_failed_tells_of_each_task(taskflow: Cli) -> None:
    missing, fine = new_id(), new_id()
    taskflow.refuses = BatchFailed([BatchResult(missing, NotFound()), BatchResult(fine)])
    told = taskflow("tasks", "list").stderr
    assert str(missing) in told
    assert str(fine) not in told
    problem = json.loads(taskflow("tasks", "list", "--json").stderr)
    assert [result["status"] for result in problem["results"]] == ["failed", "ok"]


def test_what_keeps_it_from_starting_is_json_too(taskflow: Cli) -> None:
    taskflow.refuses = StartError("No.")
    assert json.loads(taskflow("tasks", "list", "--json").stderr) == {"code": "cannot_start", "detail": "No."}


def test_a_fault_of_ours_is_not_hidden(taskflow: Cli) -> None:
    taskflow.refuses = KeyError("x")
    assert isinstance(taskflow("tasks", "list").exception, KeyError)


def test_an_interruption_ends_with_130(taskflow: Cli) -> None:
    taskflow.refuses = KeyboardInterrupt()
    assert taskflow("tasks", "list").exit_code == 130
