"""`taskflow jobs` over memory."""

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from support.cli import Cli
from support.samples import NOW, World, new_id
from taskflow_cli import watching
from taskflow_cli.tables import FOLD
from taskflow_core import (
    Actor,
    DeadJobs,
    JobState,
    JobStats,
    LedgerEntry,
    Retried,
    RetryJobs,
    Role,
    Unavailable,
)
from taskflow_core.ledger import ERROR_MAX
from taskflow_core.security_events import FORMER_EMAIL

Put = Callable[..., LedgerEntry]


@pytest.fixture
def put(world: World) -> Put:
    """Puts work of any state into the ledger."""

    def go(**given: Any) -> LedgerEntry:
        fields: dict[str, Any] = {"kind": "task.overdue", "subject": None, "payload": {}, "max_tries": 3}
        fields |= {"id": new_id(), "created_at": NOW, "run_at": NOW, **given}
        entry = LedgerEntry(**fields)
        world.store.ledger[entry.id] = entry
        return entry

    return go


@pytest.fixture
def dead(put: Put) -> Put:
    def go(**given: Any) -> LedgerEntry:
        left = {"state": JobState.DEAD, "tries": 3, "error": "The server said no.", "finished_at": NOW}
        return put(**left | given)

    return go


def ids(answer: Any) -> list[str]:
    return [job["id"] for job in answer["data"]]


def test_jobs_are_listed_by_what_is_asked_for_newest_first(taskflow: Cli, put: Put, dead: Put) -> None:
    first, second = put(kind="task.assigned"), put()
    third, fourth = dead(), dead(kind="task.assigned")
    assert ids(taskflow.json("jobs", "list")) == [str(job.id) for job in (fourth, third, second, first)]
    assert ids(taskflow.json("jobs", "list", "--dead")) == [str(fourth.id), str(third.id)]
    assert ids(taskflow.json("jobs", "list", "--state", "DEAD", "--kind", "task.overdue")) == [str(third.id)]
    assert ids(taskflow.json("jobs", "list", "--state", "pending")) == [str(second.id), str(first.id)]
    page = taskflow.json("jobs", "list", "--limit", "3")
    assert (ids(page), page["more"]) == ([str(job.id) for job in (fourth, third, second)], True)
    assert taskflow.json("jobs", "list", "--all")["more"] is False


@pytest.mark.parametrize(
    "args",
    [
        ("jobs", "list", "--dead", "--state", "pending"),
        ("jobs", "list", "--dead", "--state", "dead"),
        ("jobs", "list", "--limit", "3", "--all"),
        ("tasks", "list", "--limit", "3", "--all"),
        ("users", "list", "--limit", "20", "--all"),
        ("auth", "events", "--limit", "3", "--all"),
    ],
)
def test_what_excludes_each_other_is_refused(taskflow: Cli, args: tuple[str, ...]) -> None:
    ended = taskflow(*args)
    assert (ended.exit_code, "exclude each other" in ended.stderr) == (2, True)


def test_without_a_limit_twenty_are_listed(taskflow: Cli, world: World) -> None:
    assert "[default: 20]" in taskflow("jobs", "list", "--help").stdout
    for _ in range(21):
        world.add_job()
    assert len(ids(taskflow.json("jobs", "list"))) == 20
    assert "--limit 100" in taskflow("jobs", "list").stderr


def test_the_table_shows_what_one_looks_for(taskflow: Cli, dead: Put) -> None:
    assert "No jobs." in taskflow("jobs", "list").stdout
    job = dead(subject=new_id(), request_id="a-request", error="x" * ERROR_MAX)
    shown = taskflow("jobs", "list", "--limit", "1")
    for words in (str(job.id), "task.overdue", "dead", "3/3", "xxx"):
        assert words in shown.stdout
    # They would leave no room for the rest; one job is shown with them.
    for words in (str(job.subject), "a-request"):
        assert words not in shown.stdout
        assert words in taskflow("jobs", "show", job.id).stdout
    dead()
    assert "--limit 5" in taskflow("jobs", "list", "--limit", "1").stderr


def test_an_error_cannot_steer_the_terminal(taskflow: Cli, dead: Put) -> None:
    job = dead(error="\x1b[2J gone")
    assert "\x1b" not in taskflow("jobs", "list").stdout
    assert "\x1b" not in taskflow("jobs", "show", job.id).stdout


def test_one_job_is_shown_as_the_api_shows_it(taskflow: Cli, dead: Put) -> None:
    job = dead(request_id="a-request", subject=new_id())
    at = "2026-11-03T09:30:15.123000Z"
    assert taskflow.json("jobs", "show", job.id) == {
        "id": str(job.id),
        "kind": "task.overdue",
        "subject": str(job.subject),
        "state": "dead",
        "attempts": 3,
        "maxAttempts": 3,
        "runAt": at,
        "error": "The server said no.",
        "createdAt": at,
        "finishedAt": at,
        "requestId": "a-request",
    }
    assert taskflow("jobs", "show", new_id()).exit_code == 4


def test_an_address_that_a_job_holds_is_not_shown(taskflow: Cli, dead: Put) -> None:
    job = dead(kind="security.event", payload={FORMER_EMAIL: "old@example.com"})
    for command in (("list",), ("show", job.id), ("stats",)):
        for form in ((), ("--json",)):
            shown = taskflow("jobs", *command, *form)
            assert shown.exit_code == 0
            assert "old@" not in shown.output


def test_stats_count_by_kind(taskflow: Cli, put: Put, dead: Put) -> None:
    assert "Nothing is to be done." in taskflow("jobs", "stats").stdout
    put(run_at=NOW - timedelta(seconds=5))
    put(run_at=NOW + timedelta(seconds=5))
    dead()
    (kind,) = taskflow.json("jobs", "stats")["kinds"]
    assert kind == {
        "kind": "task.overdue",
        "due": 1,
        "scheduled": 1,
        "running": 0,
        "dead": 1,
        "oldestDueAt": "2026-11-03T09:30:10.123000Z",
    }
    shown = taskflow("jobs", "stats").stdout
    assert "task.overdue" in shown
    assert "Oldest due" in shown


def test_a_dead_job_is_tried_again(taskflow: Cli, world: World, put: Put, dead: Put) -> None:
    job, living = dead(), put()
    again = taskflow.json("jobs", "retry", job.id)
    assert (again["state"], again["attempts"]) == ("pending", 0)
    assert list(world.queue.hints) == [job.id]
    assert taskflow("jobs", "retry", living.id).exit_code == 7
    assert taskflow("jobs", "retry", new_id()).exit_code == 4


def test_all_dead_jobs_of_a_kind_are_tried_again_after_a_question(
    taskflow: Cli, world: World, dead: Put
) -> None:
    many, other = [dead() for _ in range(3)], dead(kind="task.assigned")
    refused = taskflow("jobs", "retry", "--all-of", "task.overdue", stdin="n\n")
    assert (refused.exit_code, "3 dead jobs" in refused.stderr) == (1, True)
    assert all(world.store.ledger[job.id].state is JobState.DEAD for job in many)
    assert taskflow.json("jobs", "retry", "--all-of", "task.overdue", "--yes") == {"retried": 3}
    assert all(world.store.ledger[job.id].state is JobState.PENDING for job in many)
    assert world.store.ledger[other.id].state is JobState.DEAD
    # Of one there is no question.
    assert "1 jobs are tried" in taskflow("jobs", "retry", "--all-of", "task.assigned").stdout
    assert taskflow.json("jobs", "retry", "--all-of", "task.assigned") == {"retried": 0}


def test_more_than_a_step_of_dead_jobs_are_tried_again_each_once(
    taskflow: Cli, world: World, dead: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskflow_core.use_cases.ledger.dead_letters.RETRY_STEP", 2)
    jobs = [dead() for _ in range(5)]
    assert taskflow.json("jobs", "retry", "--all-of", "task.overdue", "--yes") == {"retried": 5}
    assert sorted(world.queue.hints) == sorted(job.id for job in jobs)


def test_those_that_die_again_meanwhile_are_not_tried_again_instead_of_others(
    taskflow: Cli, world: World, dead: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskflow_core.use_cases.ledger.dead_letters.RETRY_STEP", 2)
    jobs = [dead() for _ in range(5)]
    retry = RetryJobs.__call__

    async def retry_and_die(self: RetryJobs, command: DeadJobs, actor: Actor) -> Retried:
        retried = await retry(self, command, actor)
        world.clock.forward()
        for job in world.jobs():
            if job.state is JobState.PENDING:
                job.claim(world.clock.now)
                job.fail("The server said no.", world.clock.now, 0, final=True)
        return retried

    monkeypatch.setattr(RetryJobs, "__call__", retry_and_die)
    assert taskflow.json("jobs", "retry", "--all-of", "task.overdue", "--yes") == {"retried": 5}
    assert [world.store.ledger[job.id].fence for job in jobs] == [1] * 5


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_several_are_asked_about_and_each_is_done_by_itself(
    taskflow: Cli, world: World, put: Put, dead: Put, verb: str
) -> None:
    many, living, missing = [dead().id for _ in range(2)], put().id, new_id()
    asked = taskflow("jobs", verb, *many, stdin="n\n")
    assert (asked.exit_code, "2 dead jobs" in asked.stderr) == (1, True)
    assert all(world.store.ledger[id].state is JobState.DEAD for id in many)
    told = taskflow("jobs", verb, many[0], living, missing, many[1], many[0], "--yes")
    assert (told.exit_code, told.stdout.split()[0]) == (1, "2")
    assert told.stderr.splitlines() == [
        f"{living}  Only a dead job can be retried or discarded.",
        f"{missing}  It does not exist, or you may not see it.",
    ]
    assert not taskflow.json("jobs", "list", "--dead")["data"]
    assert (many[0] in world.store.ledger) is (verb == "retry")
    more = [dead().id for _ in range(2)]
    answer = taskflow.json("jobs", verb, *more, "--yes")
    assert (answer["succeeded"], answer["failed"]) == (2, 0)
    assert [result["id"] for result in answer["results"]] == [*map(str, more)]


def test_one_that_is_named_twice_is_one(taskflow: Cli, dead: Put) -> None:
    job = dead().id
    assert taskflow.json("jobs", "retry", job, job)["id"] == str(job)


def test_retry_is_told_what_to_try(taskflow: Cli) -> None:
    assert taskflow("jobs", "retry").exit_code == 2
    assert taskflow("jobs", "retry", new_id(), "--all-of", "task.overdue").exit_code == 2


def test_a_dead_job_is_discarded(taskflow: Cli, world: World, put: Put, dead: Put) -> None:
    job, living = dead(), put()
    assert str(job.id) in taskflow("jobs", "discard", job.id).stdout
    assert list(world.store.ledger) == [living.id]
    assert taskflow("jobs", "discard", living.id).exit_code == 7
    assert taskflow("jobs", "discard", job.id).exit_code == 4


def test_a_sample_fails_as_often_as_it_was_told_and_dies(taskflow: Cli, world: World) -> None:
    made = taskflow.json("jobs", "sample", "--fail", "3", "--tries", "2")
    assert (made["kind"], made["maxAttempts"], made["state"]) == ("sample.refund", 2, "pending")
    assert [str(id) for id in world.queue.hints] == [made["id"]]
    for _ in range(2):
        assert asyncio.run(world.use_cases.run_job())
        world.clock.forward(timedelta(hours=1))
    died = taskflow.json("jobs", "show", made["id"])
    assert (died["state"], "bank did not answer" in died["error"]) == ("dead", True)


def test_many_samples_are_made_at_once(taskflow: Cli, world: World) -> None:
    made = taskflow.json("jobs", "sample", "--count", "3")
    assert len({*ids(made), *map(str, world.store.ledger)}) == 3
    assert "2 jobs made." in taskflow("jobs", "sample", "--count", "2").stdout


@pytest.mark.parametrize(
    ("option", "wrong", "bounds"),
    [("--fail", "101", "0<=x<=100"), ("--fail", "-1", "0<=x<=100"), ("--tries", "0", "1<=x<=100")],
)
def test_a_number_out_of_bounds_is_told_by_its_option(
    taskflow: Cli, option: str, wrong: str, bounds: str
) -> None:
    ended = taskflow("jobs", "sample", option, wrong)
    assert ended.exit_code == 2
    assert option in ended.stderr
    assert bounds in ended.stderr
    assert bounds in taskflow("jobs", "sample", "--help").stdout


@pytest.mark.parametrize("role", [Role.USER, Role.MANAGER])
@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("stats",),
        ("show", str(new_id())),
        ("retry", str(new_id())),
        ("retry", "--all-of", "task.overdue", "--yes"),
        ("discard", str(new_id())),
        ("sample",),
    ],
)
def test_who_may_not(taskflow: Cli, world: World, role: Role, command: tuple[str, ...]) -> None:
    world.add_user(role, email="ada@example.com")
    assert taskflow("jobs", *command, "--as", "ada@example.com").exit_code == 5
    assert not world.store.ledger


def test_an_admin_may(taskflow: Cli, world: World, dead: Put) -> None:
    world.add_user(Role.ADMIN, email="ada@example.com")
    job = dead()
    assert ids(taskflow.json("jobs", "list", "--as", "ada@example.com")) == [str(job.id)]
    assert taskflow("jobs", "discard", job.id, "--as", "ada@example.com").exit_code == 0


@pytest.fixture
def interrupted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who watches stats has no database at the third look, and presses Ctrl-C at the fifth."""
    monkeypatch.setattr(watching, "EVERY_SECONDS", 0)
    count, looks = world.use_cases.count_jobs, 0

    async def look(actor: Actor) -> JobStats:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise Unavailable
        if looks == 5:
            raise KeyboardInterrupt
        return await count(actor)

    world.use_cases = replace(world.use_cases, count_jobs=look)


@pytest.mark.usefixtures("interrupted")
def test_watching_goes_on_until_it_is_interrupted(taskflow: Cli, put: Put) -> None:
    put()
    watched = taskflow("jobs", "stats", "--watch")
    assert watched.exit_code == 130
    assert watched.stdout.count("Oldest due") == 3
    assert watched.stderr.splitlines() == [Unavailable.default_detail, "Stopped."]


@pytest.mark.usefixtures("interrupted")
def test_programs_watch_a_document_a_line(taskflow: Cli, put: Put) -> None:
    put()
    watched = taskflow("jobs", "stats", "--watch", "--json")
    assert watched.exit_code == 130
    assert [json.loads(line)["kinds"][0]["due"] for line in watched.stdout.splitlines()] == [1, 1, 1]


def test_what_cannot_be_seen_at_all_is_not_watched(taskflow: Cli, world: World) -> None:
    world.add_user(email="ada@example.com")
    assert taskflow("jobs", "list", "--watch", "--as", "ada@example.com").exit_code == 5


async def test_a_painted_table_stays_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(watching, "EVERY_SECONDS", 0)
    monkeypatch.setattr(watching, "console", lambda: Console(file=screen, force_terminal=True, width=100))
    nothing = watching.View({}, {"Kind": FOLD}, (), "Nothing any more.")
    looks: Iterator[watching.View | Exception] = iter([Unavailable(), nothing, KeyError()])

    async def look() -> watching.View:
        seen = next(looks)
        if isinstance(seen, Exception):
            raise seen
        return seen

    first = watching.View({}, {"Kind": FOLD}, [("task.overdue",)], "Nothing.")
    with pytest.raises(KeyError):
        await watching._paint_each(first, look)
    before, _, after = screen.getvalue().partition(Unavailable.default_detail)
    # Painted once by itself, and once more above the news.
    assert before.count("task.overdue") >= 2
    assert "Nothing any more." in after
