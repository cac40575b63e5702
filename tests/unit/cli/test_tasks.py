"""`taskflow tasks` over memory."""

import json
import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from support.cli import Cli
from support.samples import NOW, World, new_id
from taskflow_core import Action, Priority, Role, Status
from taskflow_memory import MemoryReads


def test_a_task_from_its_creation_to_its_restoration(taskflow: Cli, world: World) -> None:
    ada = world.add_user(email="ada@example.com")
    made = taskflow.json(
        "tasks",
        "create",
        "Write",
        "--owner",
        "ada@example.com",
        "--priority",
        "high",
        "--due",
        "2030-01-31T17:00:00Z",
    )
    assert (made["title"], made["priority"], made["userId"]) == ("Write", "HIGH", str(ada.id))
    assert made["dueDate"] == "2030-01-31T17:00:00Z"
    changed = taskflow.json("tasks", "update", made["id"], "--title", "Read", "--no-due", "--if-version", 1)
    assert (changed["title"], changed["dueDate"], changed["version"]) == ("Read", None, 2)
    assert taskflow.json("tasks", "complete", made["id"])["status"] == "COMPLETED"
    assert taskflow("tasks", "delete", made["id"]).exit_code == 0
    assert taskflow("tasks", "show", made["id"]).exit_code == 4
    assert taskflow.json("tasks", "restore", made["id"])["version"] == 5
    history = taskflow.json("tasks", "history", made["id"])
    assert [entry["action"] for entry in history["data"]] == [
        "restored",
        "deleted",
        "updated",
        "updated",
        "created",
    ]
    assert {entry["actorId"] for entry in history["data"]} == {"operator"}
    assert history["data"][3]["changes"]["dueDate"] == {"from": "2030-01-31T17:00:00Z", "to": None}


def test_the_operator_has_to_say_whose(taskflow: Cli) -> None:
    ended = taskflow("tasks", "create", "Nobody's")
    assert ended.exit_code == 3
    assert "--owner must be given" in ended.stderr


def test_a_person_acts_with_its_role(taskflow: Cli, world: World) -> None:
    ada, bob = world.add_user(email="ada@example.com"), world.add_user(Role.MANAGER, email="bob@example.com")
    theirs = world.add_task(ada.id)
    assert taskflow("tasks", "show", theirs.id, "--as", "bob@example.com").exit_code == 0
    assert taskflow("tasks", "delete", theirs.id, "--as", "BOB@example.com").exit_code == 5
    mine = taskflow.json("tasks", "create", "Mine", "--as", "bob@example.com")
    assert mine["userId"] == str(bob.id)
    assert taskflow("tasks", "show", mine["id"], "--as", "ada@example.com").exit_code == 4
    assert world.history(UUID(mine["id"]))[0].actor_id == bob.id


def test_who_is_not_there_or_deactivated_cannot_act(taskflow: Cli, world: World) -> None:
    world.add_user(email="gone@example.com", active=False)
    assert taskflow("tasks", "list", "--as", "nobody@example.com").exit_code == 4
    assert taskflow("tasks", "list", "--as", "not an email").exit_code == 4
    ended = taskflow("tasks", "list", "--as", "gone@example.com")
    assert ended.exit_code == 5
    assert "deactivated" in ended.stderr


def test_lists_are_everyones_for_the_operator_and_ones_own_for_a_person(taskflow: Cli, world: World) -> None:
    ada, bob = world.add_user(email="ada@example.com"), world.add_user(email="bob@example.com")
    for owner in (ada, ada, bob):
        world.add_task(owner.id)

    def count(*args: str) -> int:
        return len(taskflow.json("tasks", "list", *args)["data"])

    assert count() == 3
    assert count("--owner", "any") == 3
    assert count("--owner", "ada@example.com") == 2
    assert count("--owner", str(bob.id)) == 1
    assert count("--as", "bob@example.com") == 1
    assert taskflow("tasks", "list", "--as", "bob@example.com", "--owner", "any").exit_code == 5


def test_lists_go_on_past_a_page(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    for _ in range(250):
        world.add_task(ada.id)
    some = taskflow.json("tasks", "list", "--limit", "120")
    assert (len(some["data"]), some["more"]) == (120, True)
    every = taskflow.json("tasks", "list", "--all")
    assert (len({task["id"] for task in every["data"]}), every["more"]) == (250, False)
    assert "--all" in taskflow("tasks", "list").stderr


def test_filters_and_order(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    late = world.add_task(ada.id, title="Late", due_date=NOW - timedelta(days=1), priority=Priority.LOW)
    done = world.add_task(ada.id, title="Done", status=Status.COMPLETED, priority=Priority.HIGH)
    both = [str(done.id), str(late.id)]

    def ids(*args: str) -> list[str]:
        return [task["id"] for task in taskflow.json("tasks", "list", *args)["data"]]

    assert ids() == both
    assert ids("--sort", "priority") == both[::-1]
    assert ids("--overdue") == [str(late.id)]
    assert ids("--not-overdue") == [str(done.id)]
    assert ids("--status", "completed") == [str(done.id)]
    assert ids("--status", "completed", "--status", "pending") == both
    assert ids("--priority", "LOW") == [str(late.id)]
    assert ids("--priority", "LOW", "--priority", "high", "--status", "pending") == [str(late.id)]
    assert ids("--search", "lat") == [str(late.id)]
    assert ids("--due-to", "2026-11-04") == [str(late.id)]
    assert ids("--created-from", "2030-01-01") == []
    assert ids("--deleted") == []


def test_tables_are_for_people(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    task = world.add_task(ada.id, title="[red]Not markup[/red] \x1b[2J" + "long " * 40, description=None)
    listed = taskflow("tasks", "list").stdout
    assert str(task.id) in listed
    assert "[red]Not markup[/red]" in listed
    assert "\x1b" not in listed
    assert "No tasks." in taskflow("tasks", "list", "--deleted").stdout
    assert "dueDate" in taskflow("tasks", "show", task.id).stdout
    assert "created" in taskflow("tasks", "history", task.id).stdout
    assert "PENDING" in taskflow("tasks", "stats").stdout


def test_stats_have_the_shape_of_the_api(taskflow: Cli, world: World) -> None:
    ada = world.add_user(email="ada@example.com")
    world.add_task(ada.id, due_date=NOW - timedelta(days=1))
    stats = taskflow.json("tasks", "stats", "--owner", "ada@example.com")
    assert stats["total"] == stats["overdue"] == 1
    assert stats["byStatus"] == {"PENDING": 1, "IN_PROGRESS": 0, "COMPLETED": 0, "CANCELLED": 0}
    assert stats["byPriority"] == {"LOW": 0, "MEDIUM": 1, "HIGH": 0}


@pytest.mark.parametrize(("verb", "action"), [("complete", Action.UPDATED), ("delete", Action.DELETED)])
def test_more_than_one_task_is_asked_about(taskflow: Cli, world: World, verb: str, action: Action) -> None:
    ada = world.add_user()
    tasks = [world.add_task(ada.id).id for _ in range(3)]
    asked = taskflow("tasks", verb, *tasks, stdin="n\n")
    assert (asked.exit_code, "--yes" in asked.stderr) == (1, True)
    assert taskflow("tasks", verb, *tasks, stdin="").exit_code == 1
    assert all(len(world.history(task)) == 1 for task in tasks)
    assert taskflow("tasks", verb, *tasks, stdin="y\n").exit_code == 0
    assert all(world.history(task)[-1].action is action for task in tasks)


def test_of_several_tasks_all_or_none_are_done(taskflow: Cli, world: World) -> None:
    there, missing = world.add_task(world.add_user().id), new_id()
    ended = taskflow("tasks", "complete", there.id, missing, "--yes")
    assert ended.exit_code == 7
    assert str(missing) in ended.stderr
    assert len(world.history(there.id)) == 1
    assert taskflow.json("tasks", "complete", there.id, there.id, "--yes")["status"] == "COMPLETED"


def test_several_as_json(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    tasks = [world.add_task(ada.id).id for _ in range(2)]
    done = taskflow.json("tasks", "delete", *tasks, "--yes")
    assert done == {"results": [{"id": str(id), "status": "ok"} for id in tasks], "succeeded": 2, "failed": 0}


@pytest.mark.parametrize(
    "args",
    [
        ("show", "not-an-id"),
        ("create",),
        ("create", "x", "--priority", "urgent"),
        ("create", "x", "--due", "tomorrow"),
        ("list", "--limit", "0"),
        ("list", "--sort", "title"),
        ("update", "01a1f7b3-fed7-77c9-a82d-c0e34655a40a"),
        ("update", "01a1f7b3-fed7-77c9-a82d-c0e34655a40a", "--due", "2030-01-01", "--no-due"),
        ("delete",),
    ],
)
def test_wrong_usage(taskflow: Cli, args: tuple[str, ...]) -> None:
    ended = taskflow("tasks", *args)
    assert ended.exit_code == 2
    assert "Traceback" not in ended.output


def test_an_empty_description_clears(taskflow: Cli, world: World) -> None:
    task = world.add_task(world.add_user().id, description="Something")
    assert taskflow.json("tasks", "update", task.id, "--description", "")["description"] is None


def test_a_version_that_passed(taskflow: Cli, world: World) -> None:
    task = world.add_task(world.add_user().id)
    assert taskflow("tasks", "update", task.id, "--title", "x", "--if-version", 7).exit_code == 8
    assert taskflow("tasks", "delete", task.id, "--if-version", 7).exit_code == 8
    assert taskflow("tasks", "delete", task.id, new_id(), "--if-version", 7).exit_code == 2


def test_a_list_of_more_than_one_owner_has_their_emails_by_one_question(
    taskflow: Cli, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, boss = (
        world.add_user(email="ada@example.com"),
        world.add_user(Role.MANAGER, email="boss@example.com"),
    )
    for number in range(30):
        world.add_task((ada, boss)[number % 2].id)
    asked = []
    emails = MemoryReads.emails

    async def counted(reads: MemoryReads, user_ids: Collection[UUID]) -> dict[UUID, str]:
        asked.append(user_ids)
        return await emails(reads, user_ids)

    monkeypatch.setattr(MemoryReads, "emails", counted)
    for everyones in ((), ("--as", "boss@example.com", "--owner", "any")):
        head, *rows = taskflow("tasks", "list", "--all", *everyones).stdout.splitlines()
        assert head.endswith(" Owner")
        assert {row.split()[-1] for row in rows} == {"ada@example.com", "boss@example.com"}
    assert asked == [{ada.id, boss.id}] * 2
    for own in (("--owner", "ada@example.com"), ("--as", "ada@example.com")):
        assert "Owner" not in taskflow("tasks", "list", *own).stdout


EUROPE = "CET-1CEST,M3.5.0,M10.5.0/3"
ASUNCION = "PYT4PYST,M10.1.0/0,M3.4.0/0"
"""Clocks go from 00:00 to 01:00 in October, and from 00:00 back to 23:00 in March."""


@pytest.fixture
def zone(world: World) -> Iterator[Callable[[str], World]]:
    """Move the world to another time zone, for a while."""
    with pytest.MonkeyPatch.context() as patch:

        def set_zone(rule: str) -> World:
            patch.setenv("TZ", rule)
            time.tzset()
            return world

        yield set_zone
    time.tzset()


@pytest.mark.parametrize(
    ("place", "given", "due"),
    [
        ("UTC", "2030-12-31T23:59:59.9999999Z", "2030-12-31T23:59:59.999999Z"),
        ("UTC", "2030-01-31t17:00:00z", "2030-01-31T17:00:00Z"),
        ("UTC", "2030-01-31", "2030-01-31T23:59:59Z"),
        (EUROPE, "2030-01-31", "2030-01-31T22:59:59Z"),
        (EUROPE, "2030-07-31T17:00", "2030-07-31T15:00:00Z"),
        (EUROPE, "2030-07-31T17:00Z", "2030-07-31T17:00:00Z"),
        # Skipped and repeated: RFC 5545, section 3.3.5.
        (EUROPE, "2030-03-31T02:30", "2030-03-31T01:30:00Z"),
        (EUROPE, "2030-10-27T02:30", "2030-10-27T00:30:00Z"),
        # A day with two last hours.
        (ASUNCION, "2030-03-23", "2030-03-24T03:59:59Z"),
    ],
)
def test_a_due_date_is_local_time_and_a_day_is_due_at_its_end(
    taskflow: Cli, zone: Callable[[str], World], place: str, given: str, due: str
) -> None:
    ada = zone(place).add_user()
    made = taskflow.json("tasks", "create", "x", "--owner", ada.id, "--due", given)
    assert made["dueDate"] == due
    assert taskflow.json("tasks", "update", made["id"], "--due", given)["version"] == 1


def test_a_day_in_a_filter_is_its_start(taskflow: Cli, zone: Callable[[str], World]) -> None:
    # This day has no midnight: it starts at 01:00, which is 04:00Z.
    world = zone(ASUNCION)
    task = world.add_task(world.add_user().id, due_date=datetime(2030, 10, 6, 4, tzinfo=UTC))
    assert taskflow.json("tasks", "list", "--due-from", "2030-10-06")["data"][0]["id"] == str(task.id)
    assert taskflow.json("tasks", "list", "--due-to", "2030-10-06")["data"] == []


@pytest.mark.parametrize("given", ["2016-12-31T23:59:60Z", "2030-02-30", "24:00", "2030-01-31T25:00"])
def test_leap_seconds_and_what_is_no_time_are_refused(taskflow: Cli, world: World, given: str) -> None:
    ada = world.add_user()
    assert taskflow("tasks", "create", "x", "--owner", ada.id, "--due", given).exit_code == 2
    line = json.dumps({"title": "x", "dueDate": given}).encode()
    assert "dueDate must be a time" in taskflow("tasks", "import", "-", "--owner", ada.id, stdin=line).stderr
