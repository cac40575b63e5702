"""`taskflow auth explain`: what it says is what the use cases do."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from support.cli import Cli
from support.samples import NOW, World, actor, new_id
from taskflow_cli.explaining import ACTIONS
from taskflow_core import (
    Actor,
    DeadJobs,
    EventQuery,
    JobQuery,
    NewTask,
    NewUser,
    Permission,
    Role,
    Sample,
    TaskChange,
    TaskChanges,
    TaskDeletion,
    TaskFlowError,
    TaskQuery,
    TaskRestoration,
    UseCases,
    User,
    UserChange,
    UserChanges,
    UserQuery,
)
from taskflow_core.queries import HistoryQuery
from taskflow_core.use_cases.users.change import OWN_FIELDS

Attempt = Callable[[UseCases, Actor, UUID], Awaitable[object]]

# What each action really is. On a task the id is the task's, else the other person's.
ATTEMPTS: dict[str, list[Attempt]] = {
    "see": [
        lambda do, who, id: do.find_task(id, who),
        lambda do, who, id: do.read_history(HistoryQuery(task_id=id), who),
    ],
    "change": [lambda do, who, id: do.change_task(TaskChange(id, TaskChanges(title="New")), who)],
    "delete": [lambda do, who, id: do.delete_task(TaskDeletion(id), who)],
    "restore": [lambda do, who, id: do.restore_task(TaskRestoration(id), who)],
    "assign": [lambda do, who, id: do.create_task(NewTask(title="x", user_id=id), who)],
    "take": [lambda do, who, id: do.change_task(TaskChange(id, TaskChanges(user_id=who.id or id)), who)],
    "list": [
        lambda do, who, id: do.list_tasks(TaskQuery(owner=id), who),
        lambda do, who, id: do.count_tasks(id, who),
    ],
    "list-any": [
        lambda do, who, _: do.list_tasks(TaskQuery(owner=None), who),
        lambda do, who, _: do.count_tasks(None, who),
    ],
    "see-user": [lambda do, who, id: do.find_user(id, who)],
    "change-profile": [
        lambda do, who, id: do.change_user(UserChange(id, UserChanges(name="New")), who),
        lambda do, who, id: do.change_user(UserChange(id, UserChanges(notifications=False)), who),
    ],
    "change-user": [
        lambda do, who, id: do.change_user(UserChange(id, UserChanges(email=f"{new_id()}@x.org")), who)
    ],
    "see-users": [lambda do, who, _: do.list_users(UserQuery(), who)],
    "manage-users": [
        lambda do, who, _: do.create_user(NewUser(email="n@x.org", name="N", password=f"{new_id()}"), who)
    ],
    "see-events": [lambda do, who, _: do.read_events(EventQuery(owner=None), who)],
    "see-jobs": [
        lambda do, who, _: do.list_jobs(JobQuery(), who),
        lambda do, who, _: do.count_jobs(who),
    ],
    "steer-jobs": [
        lambda do, who, _: do.retry_jobs(DeadJobs("task.overdue"), who),
        lambda do, who, _: do.add_sample(Sample(), who),
    ],
}


def really(world: World, attempt: Attempt, who: User, id: UUID) -> str:
    try:
        asyncio.run(_awaited(attempt(world.use_cases, actor(who), id)))
    except TaskFlowError as error:
        return error.code
    return "allowed"


async def _awaited(attempt: Awaitable[object]) -> object:
    return await attempt


def test_every_action_is_compared_with_what_it_is() -> None:
    assert set(ATTEMPTS) == set(ACTIONS)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("action", [name for name, action in ACTIONS.items() if action.about == "task"])
def test_on_tasks(taskflow: Cli, world: World, action: str, role: Role, own: bool) -> None:
    who, other = world.add_user(role), world.add_user()
    # The CLI goes by the machine's clock.
    world.clock.now = datetime.now(UTC)
    for age in (None, timedelta(days=1), timedelta(days=31)):
        deleted_at = None if age is None else world.clock.now - age
        for attempt in ATTEMPTS[action]:
            task = world.add_task((who if own else other).id, deleted_at=deleted_at)
            told = explained(taskflow, who.email, action, task.id)
            assert really(world, attempt, who, task.id) == told["outcome"]
            assert told["allowed"] == (told["outcome"] == "allowed")


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("action", [name for name, action in ACTIONS.items() if action.about == "person"])
def test_on_people(taskflow: Cli, world: World, action: str, role: Role, own: bool) -> None:
    who, other = world.add_user(role), world.add_user()
    whom = who.id if own else other.id
    told = explained(taskflow, who.email, action, "--whom", whom)
    for attempt in ATTEMPTS[action]:
        assert really(world, attempt, who, whom) == told["outcome"]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("action", [name for name, action in ACTIONS.items() if action.about == "nothing"])
def test_on_everything(taskflow: Cli, world: World, action: str, role: Role) -> None:
    who = world.add_user(role)
    told = explained(taskflow, who.email, action)
    for attempt in ATTEMPTS[action]:
        assert really(world, attempt, who, new_id()) == told["outcome"]


def explained(taskflow: Cli, *args: object) -> Any:
    ended = taskflow("auth", "explain", *args, "--json")
    told = json.loads(ended.stdout)
    codes = {"allowed": 0, "not_found": 4, "forbidden": 5, "unauthenticated": 6}
    assert ended.exit_code == codes[told["outcome"]], ended.output
    return told


def test_it_names_the_rule_and_what_it_asked(taskflow: Cli, world: World) -> None:
    max_, ada = world.add_user(Role.MANAGER, email="max@example.com"), world.add_user()
    task = world.add_task(ada.id)
    told = explained(taskflow, "max@example.com", "delete", task.id)
    assert told["rule"] == "require_delete_task"
    assert told["checks"] == [
        {"asked": "owner", "holds": False},
        {"asked": "tasks:see:any", "holds": True},
        {"asked": "tasks:delete:any", "holds": False},
    ]
    assert (told["user"]["id"], told["taskId"]) == (str(max_.id), str(task.id))
    shown = taskflow("auth", "explain", "max@example.com", "delete", task.id)
    assert "max@example.com (manager) may not delete the task" in shown.stdout
    assert "require_delete_task" in shown.stdout
    assert "tasks:delete:any" in shown.stdout
    assert shown.exit_code == 5


def test_nothing_is_told_twice(taskflow: Cli, world: World) -> None:
    ada = world.add_user(email="ada@example.com")
    task = world.add_task(ada.id)
    assert explained(taskflow, "ada@example.com", "delete", task.id)["checks"] == [
        {"asked": "owner", "holds": True}
    ]


def test_every_permission_is_asked_about(taskflow: Cli, world: World) -> None:
    who, other = world.add_user(Role.ADMIN), world.add_user()
    asked = set()
    for name, action in ACTIONS.items():
        task = world.add_task(other.id, deleted_at=datetime.now(UTC) if name == "restore" else None)
        about = {"task": (task.id,), "person": ("--whom", other.id), "nothing": ()}[action.about]
        asked |= {check["asked"] for check in explained(taskflow, who.email, name, *about)["checks"]}
    assert asked == {"owner", *Permission}


def test_what_one_may_change_of_oneself_is_told_in_full() -> None:
    assert [field for field in OWN_FIELDS if field not in ACTIONS["change-profile"].does] == []


def test_a_deactivated_account_may_nothing(taskflow: Cli, world: World) -> None:
    ada = world.add_user(Role.ADMIN, active=False)
    told = explained(taskflow, ada.email, "see-users")
    assert (told["outcome"], told["rule"]) == ("unauthenticated", "active account")


def test_the_state_of_a_task_is_a_reason_too(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    task = world.add_task(ada.id, deleted_at=NOW)
    told = explained(taskflow, ada.email, "change", task.id)
    assert (told["rule"], told["checks"][-1]) == ("state of the task", {"asked": "state", "holds": False})


@pytest.mark.parametrize(
    "args",
    [
        ("see",),
        ("see-users", new_id()),
        ("see", new_id(), "--whom", "ada@example.com"),
        ("see-user",),
        ("fly",),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(taskflow: Cli, world: World, args: tuple[object, ...]) -> None:
    world.add_user(email="ada@example.com")
    assert taskflow("auth", "explain", "ada@example.com", *args).exit_code == 2


def test_who_may_not_see_does_not_learn(taskflow: Cli, world: World) -> None:
    world.add_user(email="uma@example.com")
    ada = world.add_user(email="ada@example.com")
    task = world.add_task(ada.id)
    for who in ("ada@example.com", "uma@example.com"):
        ended = taskflow("auth", "explain", who, "see", task.id, "--as", "uma@example.com")
        assert (ended.exit_code, ended.stdout) == (4, "")
    assert taskflow("auth", "explain", "ada@example.com", "see", new_id()).exit_code == 4
