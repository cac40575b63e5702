"""`taskflow tasks import` and `export` over memory."""

import asyncio
import codecs
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from support.cli import Cli
from support.samples import NOW, World, new_id
from taskflow_cli.importing import CHUNK_LINES, LINE_BYTES_MAX, _lines
from taskflow_core import Contention, JobKind, NewTask, Priority, Status, Unavailable
from taskflow_core.use_cases.tasks import notify_overdue

FAULTY = [
    (b'{"title": "Good"}', None),
    (b"", None),
    (b'{"title": ""}', "title must not be empty"),
    (b"not json", "is not JSON"),
    (b"[1]", "must be an object"),
    (b"{}", "title is required"),
    (b'{"title": "x", "colour": "red"}', "colour is not a field of this"),
    (b'{"title": 5}', "title must be a text"),
    (b'{"title": "x", "status": "DONE"}', "status must be one of"),
    (b'{"title": "x", "dueDate": "2030-01-01T00:00:00"}', "dueDate must have an offset"),
    (b'{"title": "n\\u0000ul"}', "title must not contain NUL"),
    (b'{"title": "\\ud800"}', "is not JSON"),
    (b"\xff\xfe", "is not JSON in UTF-8"),
    (b"[" * 100_000, "is not JSON in UTF-8, or is nested too deeply"),
    (b'"' + b"x" * (LINE_BYTES_MAX + 5) + b'"', "is longer than"),
    (b'{"title": "Good too", "id": "whatever", "version": 9}', None),
]


def test_every_faulty_line_is_told_by_its_number_and_the_good_ones_are_kept(
    taskflow: Cli, world: World
) -> None:
    ada = world.add_user(email="ada@example.com")
    lines = b"\n".join(line for line, _ in FAULTY)
    ended = taskflow("tasks", "import", "-", "--owner", "ada@example.com", stdin=lines)
    wrong = [(number, words) for number, (_, words) in enumerate(FAULTY, 1) if words]
    assert ended.exit_code == 1
    assert ended.stdout == f"2 tasks created, {len(wrong)} lines failed.\n"
    told = ended.stderr.splitlines()
    assert [line.split(":")[0] for line in told] == [f"line {number}" for number, _ in wrong]
    assert all(words in line for line, (_, words) in zip(told, wrong, strict=True))
    assert {(task.title, task.user_id) for task in world.store.tasks.values()} == {
        ("Good", ada.id),
        ("Good too", ada.id),
    }


def test_all_faults_of_a_line_are_told_to_programs(taskflow: Cli, world: World) -> None:
    world.add_user(email="ada@example.com")
    lines = b'{"title": "", "dueDate": "x", "nope": 1}\n{"title": "Good"}\n'
    ended = taskflow("tasks", "import", "-", "--as", "ada@example.com", "--json", stdin=lines)
    faulty, summary = map(json.loads, ended.stdout.splitlines())
    assert faulty["line"] == 1
    assert {error["pointer"] for error in faulty["errors"]} == {"/title", "/dueDate", "/nope"}
    assert summary == {"created": 1, "failed": 1, "nextLine": 3}


def test_what_goes_out_comes_in_again(taskflow: Cli, world: World, tmp_path: Path) -> None:
    ada, bob = world.add_user(email="ada@example.com"), world.add_user(email="bob@example.com")
    for number in range(CHUNK_LINES * 2 + 50):
        world.add_task(
            ada.id,
            title=f"Täsk {number}",
            description="Ünïcode\nand lines",
            status=list(Status)[number % 4],
            priority=list(Priority)[number % 3],
            due_date=NOW if number % 2 else None,
        )
    file = tmp_path / "tasks.jsonl"
    assert taskflow("tasks", "export", file).stderr == f"{CHUNK_LINES * 2 + 50} tasks exported.\n"
    assert list(tmp_path.iterdir()) == [file]
    assert taskflow("tasks", "import", file, "--owner", "bob@example.com").exit_code == 0

    def content(owner: UUID) -> list[tuple[object, ...]]:
        tasks = sorted(world.store.tasks.values(), key=lambda task: task.id)
        return [
            (t.title, t.description, t.status, t.priority, t.due_date) for t in tasks if t.user_id == owner
        ]

    assert content(bob.id) == content(ada.id)
    assert len({task.id for task in world.store.tasks.values()}) == len(content(ada.id)) * 2


def test_an_export_to_standard_output_is_the_lines_alone(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    world.add_task(ada.id, title="First")
    world.add_task(ada.id, title="Second", status=Status.COMPLETED)
    titles = [json.loads(line)["title"] for line in taskflow("tasks", "export").stdout.splitlines()]
    assert titles == ["First", "Second"]
    assert len(taskflow("tasks", "export", "--status", "completed", "-").stdout.splitlines()) == 1


def test_an_export_that_fails_leaves_the_file_as_it_was(taskflow: Cli, world: World, tmp_path: Path) -> None:
    world.add_user(email="ada@example.com")
    file = tmp_path / "tasks.jsonl"
    file.write_text("before")
    assert taskflow("tasks", "export", file, "--owner", "any", "--as", "ada@example.com").exit_code == 5
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]
    assert taskflow("tasks", "export", tmp_path / "missing" / "x").exit_code == 1


BOM = codecs.BOM_UTF8


@pytest.mark.parametrize(
    ("file", "titles"),
    [
        (BOM + b'{"title": "One"}\r\n{"title": "Two"}', ["One", "Two"]),
        (b'{"title": "One"}\n' + BOM + b'{"title": "Two"}\n', ["One", "Two"]),
        (BOM + b"\r\n\r\n  \n" + b'{"title": "One"}\n\n', ["One"]),
        (BOM, []),
        (b"", []),
    ],
)
def test_byte_order_marks_and_both_ends_of_lines_are_taken(
    taskflow: Cli, world: World, file: bytes, titles: list[str]
) -> None:
    ada = world.add_user()
    ended = taskflow("tasks", "import", "-", "--owner", ada.id, stdin=file)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert sorted(task.title for task in world.store.tasks.values()) == titles


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_a_file_of_another_encoding_is_refused_in_a_sentence(taskflow: Cli, encoding: str) -> None:
    ended = taskflow("tasks", "import", "-", stdin='{"title": "One"}\n{"title": "Two"}\n'.encode(encoding))
    assert ended.exit_code == 3
    assert "UTF-16 or UTF-32; convert it to UTF-8" in ended.stderr


def test_carriage_returns_alone_end_no_line(taskflow: Cli) -> None:
    ended = taskflow("tasks", "import", "-", stdin=b'{"title": "One"}\r{"title": "Two"}\r')
    assert "line 1: is not JSON: lines must end with a line feed" in ended.stderr


class Endless(io.RawIOBase):
    """A line of 64 MiB, then a good one."""

    left = 64 * 1024 * 1024

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        text = b"x" * min(len(buffer), self.left) or b'\n{"title": "Good"}\n' * (self.left == 0)
        self.left -= len(text)
        buffer[: len(text)] = text
        return len(text)


def test_a_line_without_end_is_read_in_bounded_memory() -> None:
    tracemalloc.start()
    numbers = [
        (number, line and line.strip()) for number, line in _lines(io.BufferedReader(Endless()), 1, None)
    ]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert numbers == [(1, None), (2, b'{"title": "Good"}')]
    assert most < 8 * LINE_BYTES_MAX


def test_lines_keep_their_owner_unless_one_is_given(taskflow: Cli, world: World) -> None:
    ada, bob = world.add_user(), world.add_user(email="bob@example.com")
    line = json.dumps({"title": "x", "userId": str(ada.id)}).encode()
    stranger = json.dumps({"title": "x", "userId": str(new_id())}).encode()
    ended = taskflow("tasks", "import", "-", stdin=line + b"\n" + stranger)
    assert "line 2: userId must be a user that exists" in ended.stderr
    assert [task.user_id for task in world.store.tasks.values()] == [ada.id]
    assert (
        "line 1: You may not"
        in taskflow("tasks", "import", "-", "--as", "bob@example.com", stdin=line).stderr
    )
    assert bob.id not in {task.user_id for task in world.store.tasks.values()}


def test_a_time_finer_than_microseconds_is_cut(taskflow: Cli, world: World) -> None:
    line = b'{"title": "x", "dueDate": "2030-12-31T23:59:59.9999999Z"}'
    taskflow("tasks", "import", "-", "--owner", world.add_user().id, stdin=line)
    (task,) = world.store.tasks.values()
    assert task.due_date == datetime(2030, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def test_it_begins_at_a_line(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    lines = b"".join(b'{"title": "%d"}\n' % number for number in range(1, 6))
    assert taskflow("tasks", "import", "-", "--owner", ada.id, "--from-line", 4, stdin=lines).exit_code == 0
    assert sorted(task.title for task in world.store.tasks.values()) == ["4", "5"]


def notices(world: World) -> list[str]:
    """What anybody is to be told of, once what is overdue is seen."""
    world.clock.forward(notify_overdue.EVERY)
    asyncio.run(world.use_cases.notify_overdue())
    return sorted(job.kind for job in world.jobs())


def test_nobody_is_told_of_what_is_imported_unless_asked_for(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    late = NOW - timedelta(days=1)
    lines = b'{"title": "x"}\n' + json.dumps({"title": "x", "dueDate": late.isoformat()}).encode()
    command = ("tasks", "import", "-", "--owner", ada.id)
    assert taskflow(*command, stdin=lines).exit_code == 0
    assert len(world.store.tasks) == 2
    assert notices(world) == []
    assert taskflow(*command, "--notify", stdin=lines).exit_code == 0
    assert notices(world) == [JobKind.TASK_ASSIGNED, JobKind.TASK_ASSIGNED, JobKind.TASK_OVERDUE]


def test_due_dates_to_come_are_told_of_when_they_pass(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    line = json.dumps({"title": "x", "dueDate": (NOW + timedelta(days=1)).isoformat()}).encode()
    assert taskflow("tasks", "import", "-", "--owner", ada.id, stdin=line).exit_code == 0
    assert notices(world) == []
    world.clock.forward(timedelta(days=1))
    assert notices(world) == [JobKind.TASK_OVERDUE]


class Failing:
    """Creates tasks until it has had enough, a few times."""

    def __init__(self, world: World, error: Exception, at: int, times: int) -> None:
        self._create = world.use_cases.create_task
        self.error, self.at, self.times, self.calls = error, at, times, 0

    async def __call__(self, command: NewTask, actor: object) -> object:
        self.calls += 1
        if self.calls >= self.at and self.times:
            self.times -= 1
            raise self.error
        return await self._create(command, actor)  # type: ignore[arg-type]


def fail(world: World, error: Exception, *, at: int, times: int = 1) -> None:
    from dataclasses import replace

    world.use_cases = replace(world.use_cases, create_task=Failing(world, error, at, times))  # type: ignore[arg-type]


LINES = b'{"title": "x"}\n' * (CHUNK_LINES + 10)


def test_where_the_store_goes_away_it_says_how_to_go_on(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    fail(world, Unavailable(), at=CHUNK_LINES + 5)
    ended = taskflow("tasks", "import", "-", "--owner", ada.id, stdin=LINES)
    assert ended.exit_code == 9
    assert f"--from-line {CHUNK_LINES + 1}" in ended.stderr
    assert f"{CHUNK_LINES} tasks created" in ended.stdout


def test_a_lost_race_is_run_again(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    fail(world, Contention(), at=1, times=2)
    assert taskflow("tasks", "import", "-", "--owner", ada.id, stdin=LINES).exit_code == 0
    assert len(world.store.tasks) == CHUNK_LINES + 10
    fail(world, Contention(), at=1, times=3)
    assert taskflow("tasks", "import", "-", "--owner", ada.id, stdin=LINES).exit_code == 9
