"""Every error has its exit code, and is told without a stack."""

import json
import os
import pty
import re
import select
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import taskflow_core
from support.cli import Cli
from support.samples import World, new_id
from taskflow_bootstrap.errors import InUse, SettingsError, StartError
from taskflow_cli import errors
from taskflow_cli.app import INTERRUPTED
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


def test_faults_are_told_by_the_names_of_the_commands_options(taskflow: Cli) -> None:
    faults = [(name,) for name in ("title", "description", "due_date", "priority", "user_id", "colour")]
    taskflow.refuses = InvalidInput([*(Fault(path, "is odd") for path in faults), Fault((), "is odd")])
    ended = taskflow("tasks", "create", "x")
    assert [line.split()[0] for line in ended.stderr.splitlines()[1:-1]] == [
        *("TITLE", "--description", "--due", "--priority", "--owner", "colour", "input"),
    ]
    assert ended.stderr.splitlines()[-1].startswith("Name the owner with --owner EMAIL")


def command_lines() -> Iterator[tuple[str, ...]]:
    """Every command that works on a TaskFlow, with what it needs."""
    id, email = str(new_id()), "ada@example.com"
    yield from (("tasks", name, id) for name in ("show", "complete", "delete", "restore", "history"))
    yield ("tasks", "update", id, "--title", "x")
    yield from (("users", name, id) for name in ("show", "deactivate", "activate"))
    yield ("users", "set-role", id, "user")
    yield ("users", "update", id, "--name", "x")
    yield ("users", "delete", email, "--yes")
    yield ("sessions", "end", id)
    yield ("sessions", "list", email)
    yield from (("jobs", name, id) for name in ("show", "retry", "discard"))
    yield ("auth", "explain", email, "task.list")


@pytest.mark.parametrize("words", [*command_lines()], ids=lambda words: " ".join(words[:2]))
def test_what_is_not_there_is_named_and_how_to_find_it_is_told(taskflow: Cli, words: tuple[str, ...]) -> None:
    ended = taskflow(*words)
    assert ended.exit_code in {2, 4}
    if ended.exit_code == 4:
        assert re.search(r"^Error: There is no (task|account|session|job)", ended.stderr)
        assert "taskflow " in ended.stderr.splitlines()[-1]


def test_a_person_who_may_not_see_it_is_told_whom_to_be(taskflow: Cli, world: World) -> None:
    world.add_user(email="ada@example.com")
    task = world.add_task(world.add_user().id)
    ended = taskflow("tasks", "show", task.id, "--as", "ada@example.com")
    assert ended.exit_code == 4
    assert ended.stderr.splitlines() == [
        f"Error: There is no task {task.id} that ada@example.com may see.",
        "Without --as you act as the operator, who may see and do everything.",
    ]
    refused = taskflow("users", "list", "--as", "ada@example.com")
    assert "needs the permission users:see (role manager or admin)" in refused.stderr


def under_terminal(words: list[str], prompt: bytes, typed: bytes) -> tuple[int, str]:
    """Run a command over memory at a terminal; type something once it has asked, and again until it ends.

    A key that is pressed between the question and the wait for its answer may be lost to it.
    """
    code = (
        "import sys\nfrom support.cli import Cli\nfrom support.samples import World\n"
        "from taskflow_cli.app import cli\nworld = World()\nworld.add_user(email='ada@example.com')\n"
        "cli(sys.argv[1:], obj=Cli(world)._open, prog_name='taskflow')\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        os.execv(sys.executable, [sys.executable, "-c", code, *words])
    said, has_typed = b"", False
    with suppress(OSError):
        while True:
            silent = not select.select([terminal], [], [], 5)[0]
            if silent and has_typed:
                os.write(terminal, typed)
            elif not silent:
                said += os.read(terminal, 4096)
                if not has_typed and prompt in said:
                    os.write(terminal, typed)
                    has_typed = True
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [(b"\x03", 130, "Stopped."), (b"\x04", 1, "\nError: .*[Nn]othing was done")],
)
@pytest.mark.parametrize(
    ("words", "prompt"),
    [
        (["users", "delete", "ada@example.com"], b"[y/N]"),
        (["users", "create", "bob@example.com"], b"Password:"),
        (["users", "reset-password", "ada@example.com"], b"Password:"),
    ],
    ids=["question", "password", "reset"],
)
def test_who_is_asked_may_interrupt_or_end_the_input(
    words: list[str], prompt: bytes, typed: bytes, code: int, told: str
) -> None:
    ended, said = under_terminal(words, prompt, typed)
    assert ended == code, said
    assert re.search(told, said)
    assert "Traceback" not in said


@pytest.mark.parametrize("command", ["create", "reset-password"])
def test_without_a_terminal_it_says_how_to_give_a_password(taskflow: Cli, world: World, command: str) -> None:
    world.add_user(email="ada@example.com")
    ended = taskflow("users", command, "ada@example.com")
    assert ended.exit_code == 2
    assert "--password-stdin" in ended.stderr
    assert "GetPassWarning" not in ended.stderr


def test_the_table_of_the_manual_is_that_of_the_code() -> None:
    manual = Path(__file__).parents[3] / "docs" / "operations.md"
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|$", manual.read_text(encoding="utf-8"), re.MULTILINE)
    ours = re.findall(r"^(\d+) +(.+)$", str(errors.__doc__), re.MULTILINE)
    assert [(code, text.strip()) for code, text in rows] == ours
    assert {int(code) for code, _ in ours} == {0, 1, 2, INTERRUPTED, *EXIT_CODES.values()}


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
        advice = "To see what is wrong: taskflow doctor"
        assert (ended.exit_code, ended.stderr.splitlines()[1:]) == (9, [*told, advice])
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
