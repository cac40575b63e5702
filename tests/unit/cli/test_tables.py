"""Tables at the widths that terminals have."""

import io
import os
import sys
from datetime import timedelta
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from support.cli import Cli
from support.samples import NOW, World, entry_of, new_event, new_id, new_task
from taskflow_cli.output import console
from taskflow_cli.tables import CUT, FOLD, WHOLE, Columns, printable, table_of
from taskflow_core import FieldChange, JobState, Origin, Role, Status

EMAIL = "ada.augusta.king@analytical-engines.example.com"
KIND = "clean_up.idempotency_keys"
# Of each table: its heads, which id stands in it, and what stands beside it in one piece.
TABLES: dict[tuple[str, ...], tuple[list[str], str, str]] = {
    ("jobs", "list"): (["ID", "Kind", "State", "Tries", "Due/ended", "Error"], "id", "100/100"),
    ("tasks", "list"): (["ID", "Title", "Status", "Priority", "Due"], "id", "IN_PROGRESS"),
    ("users", "list"): (["ID", "Email", "Name", "Role", "Active"], "id", "manager"),
    ("sessions", "list", EMAIL): (["ID", "Opened", "Last used", "User agent"], "id", "Mozilla/5.0"),
    ("auth", "events"): (["At", "Type", "User ID", "Detail"], "userId", "2026-11-03"),
    ("tasks", "history", "TASK"): (["At", "Actor ID", "Action", "Changes"], "actorId", "created"),
}


@pytest.fixture
def full(world: World) -> World:
    """Something in every list, with values as long as they may well be."""
    ada = world.add_user(Role.MANAGER, email=EMAIL, name="Ada " * 40)
    task = new_task(ada.id, title="A long title " * 9, status=Status.IN_PROGRESS, due_date=NOW)
    world.store.put_task(
        task, entry_of(task, changes={"description": FieldChange(None, "words\nin lines " * 9)})
    )
    agent = "Mozilla/5.0 (X11; Linux x86_64) " * 4
    world.add_session(ada.id, origin=Origin(user_agent=agent))
    event = new_event(ada.id, detail={"userAgent": agent})
    world.store.events[event.id] = event
    for number, state in enumerate(JobState):
        lease = NOW if state is JobState.RUNNING else None
        world.add_job(
            KIND, state=state, subject=new_id(), request_id="f2f1e2f56bcb9c16ef51d68de62b3ed5",
            error=f"The bank\ndid not answer {number}. " * 9, tries=100, max_tries=100, lease_until=lease,
        )  # fmt: skip
    return world


def lines_of(taskflow: Cli, *args: object) -> list[str]:
    ended = taskflow(*args)
    assert ended.exit_code == 0, ended.output
    return ended.stdout.splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("command", TABLES)
def test_every_column_is_there_and_no_id_is_broken(
    taskflow: Cli, full: World, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], width: int
) -> None:
    monkeypatch.setattr("taskflow_cli.output._PIPED_WIDTH", width)
    heads, id_name, beside = TABLES[command]
    (task_id,) = full.store.tasks
    command = tuple(str(task_id) if word == "TASK" else word for word in command)
    lines = lines_of(taskflow, *command)
    assert max(map(cell_len, lines)) <= width
    head = "\n".join(lines[:2])
    assert all(name in head for name in heads)
    items = taskflow.json(*command)["data"]
    for item in items:
        assert sum(item[id_name] in line for line in lines) == 1
    assert sum(beside in line for line in lines) == len(items)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_job_is_a_line_with_its_state_tries_and_error_and_one_with_its_id(
    taskflow: Cli, full: World, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("taskflow_cli.output._PIPED_WIDTH", width)
    lines = lines_of(taskflow, "jobs", "list")
    for job in full.jobs():
        (place,) = [i for i, line in enumerate(lines) if line == f"  {job.id}"]
        (row,) = [line for line in lines[place - 3 : place] if f" {job.state} " in line]
        assert " 100/100 " in row
        assert " 2026-11-03" in row
        assert row.endswith("…")
        assert "clean_up." in row
        assert width == 60 or KIND in row
    shown = taskflow("jobs", "show", full.jobs()[0].id).stdout
    assert "f2f1e2f56bcb9c16ef51d68de62b3ed5" in shown


def test_times_of_jobs_are_their_end_or_when_they_are_due(taskflow: Cli, world: World) -> None:
    ended = NOW + timedelta(days=3)
    world.add_job(state=JobState.DONE, finished_at=ended)
    world.add_job(run_at=NOW + timedelta(days=9))
    waiting, done = lines_of(taskflow, "jobs", "list")[1:]
    assert "2026-11-12" in waiting
    assert "2026-11-06" in done


def painted(columns: Columns, *rows: tuple[Any, ...], width: int) -> list[str]:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table_of(columns, rows, width))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_what_fits_is_left_as_it_is() -> None:
    columns = {"ID": WHOLE, "Kind": FOLD, "Error": CUT}
    assert painted(columns, ("1", KIND, "why"), width=34) == [
        "ID Kind                      Error",
        f"1  {KIND} why",
    ]


def test_words_are_parted_where_they_are_punctuated() -> None:
    assert painted({"ID": WHOLE, "Kind": FOLD}, ("1", KIND), width=13) == [
        "ID Kind",
        "1  clean_up.",
        "   idempotenc",
        "   y_keys",
    ]
    assert painted({"ID": WHOLE, "At": FOLD}, ("1", "2026-11-03 09:30:15"), width=18) == [
        "ID At",
        "1  2026-11-03",
        "   09:30:15",
    ]


def test_an_error_is_cut_only_when_others_are_folded() -> None:
    columns = {"Kind": FOLD, "Error": CUT}
    assert painted(columns, (KIND, "The bank did not answer."), width=36) == [
        "Kind             Error",
        "clean_up.        The bank did not a…",
        "idempotency_keys",
    ]
    assert painted(columns, (KIND, "The\nbank did not answer."), width=16) == [
        "Kind       Error",
        "clean_up.  The…",
        "idempotenc",
        "y_keys",
    ]


def test_joined_emoji_words_and_flags_stay_whole_and_what_steers_a_terminal_is_replaced() -> None:
    england = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
    kept = f"👨‍👩‍👧‍👦 می‌خواهم \u0600\u0661 é e\u0301 🇩🇪 👍🏽 ❤️ {england} a\u00a0b"
    assert printable(kept) == kept
    for (
        unsafe
    ) in "\0\t\r\x1b\x7f\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202e\u2069\ud800\U000e0041\U000e007f":
        assert printable(f"a{unsafe}b") == "a\ufffdb"


def test_wide_letters_are_folded_by_their_width() -> None:
    assert painted({"Changes": FOLD}, ("買" * 9,), width=10) == ["Changes", "買買買買買", "買買買買"]


def test_wide_letters_count_for_two() -> None:
    assert painted({"Title": CUT}, ("買" * 9,), width=9) == ["Title", "買買買買…"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_that_does_not_know_its_size_has_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((0, 0)))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "0")
    assert console().width == 80
