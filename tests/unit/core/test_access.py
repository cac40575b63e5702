"""Every use case by role and owner: one table. A use case that is missing from it fails the tests."""

from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import timedelta
from uuid import UUID

import pytest

from support.samples import PASSWORD, World, actor, new_id
from taskflow_core import (
    Actor,
    Batch,
    BatchAction,
    BatchItem,
    DeadJobs,
    EventQuery,
    Forbidden,
    HistoryQuery,
    JobQuery,
    JobState,
    NewTask,
    NewUser,
    NotFound,
    PasswordReset,
    Role,
    Sample,
    TaskChange,
    TaskChanges,
    TaskDeletion,
    TaskFlowError,
    TaskQuery,
    TaskRestoration,
    UnknownOwner,
    UseCases,
    UserChange,
    UserChanges,
    UserDeletion,
    UserQuery,
)

OK, F, N, U = None, Forbidden, NotFound, UnknownOwner
Answer = type[TaskFlowError] | None
Use = Callable[[UseCases, Actor, UUID], Awaitable[object]]


async def batch(use_cases: UseCases, who: Actor, id: UUID, action: BatchAction, changes: TaskChanges) -> None:
    command = Batch(action=action, items=(BatchItem(id),), changes=changes, atomic=False)
    (result,) = await use_cases.change_tasks(command, who)
    if result.error:
        raise result.error


TITLE = TaskChanges(title="Another")

# What is done to the task, or to the account, with this id: its own, another's, one that does not exist.
TO_TASKS: dict[str, Use] = {
    "find_task": lambda on, who, id: on.find_task(id, who),
    "read_history": lambda on, who, id: on.read_history(HistoryQuery(task_id=id), who),
    "change_task": lambda on, who, id: on.change_task(TaskChange(id, TITLE), who),
    "change_tasks complete": lambda on, who, id: batch(on, who, id, BatchAction.COMPLETE, TaskChanges()),
    "change_tasks update": lambda on, who, id: batch(on, who, id, BatchAction.UPDATE, TITLE),
    "change_tasks delete": lambda on, who, id: batch(on, who, id, BatchAction.DELETE, TaskChanges()),
    "delete_task": lambda on, who, id: on.delete_task(TaskDeletion(id), who),
    "restore_task": lambda on, who, id: on.restore_task(TaskRestoration(id), who),
}
TO_USERS: dict[str, Use] = {
    "create_task": lambda on, who, id: on.create_task(NewTask(title="x", user_id=id), who),
    "list_tasks": lambda on, who, id: on.list_tasks(TaskQuery(owner=id), who),
    "list_tasks of everyone": lambda on, who, _: on.list_tasks(TaskQuery(owner=None), who),
    "count_tasks": lambda on, who, id: on.count_tasks(id, who),
    "count_tasks of everyone": lambda on, who, _: on.count_tasks(None, who),
    "find_user": lambda on, who, id: on.find_user(id, who),
    "list_users": lambda on, who, _: on.list_users(UserQuery(), who),
    "create_user": lambda on, who, _: on.create_user(NewUser(email="n@x", name="N", password=PASSWORD), who),
    "change_user name": lambda on, who, id: on.change_user(UserChange(id, UserChanges(name="New")), who),
    "change_user email": lambda on, who, id: on.change_user(UserChange(id, UserChanges(email="n@x")), who),
    "change_user role": lambda on, who, id: on.change_user(UserChange(id, UserChanges(role=Role.ADMIN)), who),
    "change_user active": lambda on, who, id: on.change_user(UserChange(id, UserChanges(active=False)), who),
    "change_user name and role": lambda on, who, id: on.change_user(
        UserChange(id, UserChanges(name="New", role=Role.ADMIN)), who
    ),
    "change_user nothing": lambda on, who, id: on.change_user(UserChange(id, UserChanges()), who),
    "delete_user": lambda on, who, id: on.delete_user(UserDeletion(id), who),
    "purge_users": lambda on, who, _: on.purge_users(who),
}
TO_USERS |= {
    "list_sessions": lambda on, who, id: on.list_sessions(id, who),
    "end_sessions": lambda on, who, id: on.end_sessions(id, who),
    "reset_password": lambda on, who, id: on.reset_password(PasswordReset(id, PASSWORD), who),
    "read_events": lambda on, who, id: on.read_events(EventQuery(owner=id), who),
    "read_events of everyone": lambda on, who, _: on.read_events(EventQuery(owner=None), who),
}
TO_SESSIONS: dict[str, Use] = {"end_session": lambda on, who, id: on.end_session(id, who)}
TO_JOBS: dict[str, Use] = {
    "find_job": lambda on, who, id: on.find_job(id, who),
    "retry_job": lambda on, who, id: on.retry_job(id, who),
    "discard_job": lambda on, who, id: on.discard_job(id, who),
}
TO_USERS |= {
    "list_jobs": lambda on, who, _: on.list_jobs(JobQuery(), who),
    "count_jobs": lambda on, who, _: on.count_jobs(who),
    "retry_jobs": lambda on, who, _: on.retry_jobs(DeadJobs("kind"), who),
    "add_sample": lambda on, who, _: on.add_sample(Sample(), who),
}
USES = TO_TASKS | TO_USERS | TO_SESSIONS | TO_JOBS
# Their own tests tell who may: nobody is signed in yet, or the command is about nobody but oneself.
BY_THEMSELVES = {"register", "log_in", "refresh", "authenticate", "change_password"}
# Nobody asks for these: workers and schedulers do them.
BY_THEMSELVES |= {"run_job", "reconcile", "notify_overdue", "schedule_clean_up"}

Cells = tuple[Answer, Answer, Answer]
SEES: dict[str, Cells] = {
    "nobody": (N, N, N),
    "user": (OK, N, N),
    "manager": (OK, OK, N),
    "admin": (OK, OK, N),
    "operator": (OK, OK, N),
}
DELETES = SEES | {"manager": (OK, F, N)}
ASKS: dict[str, Cells] = {
    "nobody": (F, F, F),
    "user": (OK, F, F),
    "manager": (OK, OK, OK),
    "admin": (OK, OK, OK),
    "operator": (OK, OK, OK),
}
ASKS_ALL = ASKS | {"user": (F, F, F)}
ADMINISTERS = ASKS_ALL | {"manager": (F, F, F)}
CHANGES_PROFILES = SEES | {"manager": (OK, F, F)}
CHANGES_ACCOUNTS = SEES | {"user": (F, N, N), "manager": (F, F, F)}
READS_EVENTS = ASKS | {"manager": (OK, F, F)}
JOBS = ADMINISTERS | dict.fromkeys(("admin", "operator"), (OK, OK, N))
SEES_SESSIONS = SEES | {"manager": (OK, F, F)} | dict.fromkeys(("admin", "operator"), (OK, OK, OK))

EXPECTED: dict[str, dict[str, Cells]] = {
    "list_sessions": SEES_SESSIONS,
    "end_session": SEES | {"manager": (OK, N, N)},
    "end_sessions": SEES_SESSIONS,
    "reset_password": dict.fromkeys(("nobody", "user", "manager"), (F, F, F))
    | dict.fromkeys(("admin", "operator"), (OK, OK, N)),
    "read_events": READS_EVENTS,
    "read_events of everyone": ADMINISTERS,
    "find_task": SEES,
    "read_history": SEES,
    "change_task": SEES,
    "change_tasks complete": SEES,
    "change_tasks update": SEES,
    "change_tasks delete": DELETES,
    "delete_task": DELETES,
    "restore_task": DELETES,
    "create_task": ASKS | dict.fromkeys(("manager", "admin", "operator"), (OK, OK, U)),
    "list_tasks": ASKS,
    "list_tasks of everyone": ASKS_ALL,
    "count_tasks": ASKS,
    "count_tasks of everyone": ASKS_ALL,
    "find_user": SEES,
    "list_users": ASKS_ALL,
    "create_user": ADMINISTERS,
    "change_user name": CHANGES_PROFILES,
    "change_user nothing": CHANGES_PROFILES,
    "change_user email": CHANGES_ACCOUNTS,
    "change_user role": CHANGES_ACCOUNTS,
    "change_user active": CHANGES_ACCOUNTS,
    "change_user name and role": CHANGES_ACCOUNTS,
    "delete_user": CHANGES_ACCOUNTS,
    "purge_users": ADMINISTERS,
    "find_job": JOBS,
    "retry_job": JOBS,
    "discard_job": JOBS,
    "list_jobs": ADMINISTERS,
    "count_jobs": ADMINISTERS,
    "retry_jobs": ADMINISTERS,
    "add_sample": ADMINISTERS,
}


async def answers(name: str, who: str) -> Cells:
    """What is answered about one's own, another's, and what does not exist; each in a world of its own."""
    found: list[Answer] = []
    for whose in range(3):
        world = World()
        world.add_user(Role.ADMIN)
        role = Role(who) if who in set(Role) else Role.USER
        me, other = world.add_user(role), world.add_user()
        asking = {"nobody": Actor(None), "operator": Actor.operator()}.get(who) or actor(me)
        owner = (me.id, other.id, new_id())[whose]
        id = owner
        if name in TO_TASKS and whose < 2:
            id = world.add_task(owner).id
        if name in TO_SESSIONS and whose < 2:
            id = world.add_session(owner).id
        if name in TO_JOBS and whose < 2:
            id = world.add_job(state=JobState.DEAD, subject=owner).id
        try:
            await USES[name](world.use_cases, asking, id)
        except TaskFlowError as error:
            found.append(type(error))
        else:
            found.append(None)
    return found[0], found[1], found[2]


@pytest.mark.parametrize("name", EXPECTED)
async def test_every_use_case_by_role_and_owner(name: str) -> None:
    asked = {who: await answers(name, who) for who in SEES}
    assert asked == EXPECTED[name]


def test_no_use_case_is_missing() -> None:
    named = {name.partition(" ")[0] for name in EXPECTED}
    assert named == {field.name for field in fields(UseCases)} - BY_THEMSELVES
    assert EXPECTED.keys() == USES.keys()


MOVES: dict[str, Callable[[UseCases, Actor, UUID, UUID], Awaitable[object]]] = {
    "change_task": lambda on, who, id, to: on.change_task(TaskChange(id, TaskChanges(user_id=to)), who),
    "change_tasks": lambda on, who, id, to: batch(on, who, id, BatchAction.UPDATE, TaskChanges(user_id=to)),
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize(
    ("role", "expected"),
    [
        # one's own to oneself, to another, to nobody; another's to oneself
        (Role.USER, (OK, F, F, N)),
        (Role.MANAGER, (OK, OK, U, F)),
        (Role.ADMIN, (OK, OK, U, OK)),
    ],
)
async def test_who_moves_tasks_to_whom(name: str, role: Role, expected: tuple[Answer, ...]) -> None:
    found: list[Answer] = []
    for case in range(4):
        world = World()
        me, other = world.add_user(role), world.add_user()
        task = world.add_task(other.id if case == 3 else me.id)
        to = (me.id, other.id, new_id(), me.id)[case]
        try:
            await MOVES[name](world.use_cases, actor(me), task.id, to)
        except TaskFlowError as error:
            found.append(type(error))
        else:
            found.append(None)
            assert world.store.tasks[task.id].user_id == to
    assert tuple(found) == expected


@pytest.mark.parametrize("name", sorted(set(TO_TASKS) - {"restore_task"}))
@pytest.mark.parametrize("role", Role)
async def test_what_is_deleted_is_to_nobody_there(name: str, role: Role) -> None:
    world = World()
    me = world.add_user(role)
    task = world.add_task(me.id, deleted_at=world.clock.now - timedelta(days=1))
    with pytest.raises(NotFound):
        await TO_TASKS[name](world.use_cases, actor(me), task.id)


@pytest.mark.parametrize("name", ["delete_task", "restore_task", "change_tasks delete"])
async def test_of_anothers_deleted_task_a_manager_learns_only_that_it_may_not(name: str) -> None:
    world = World()
    manager, other = world.add_user(Role.MANAGER), world.add_user()
    task = world.add_task(other.id, deleted_at=world.clock.now)
    with pytest.raises(Forbidden):
        await TO_TASKS[name](world.use_cases, actor(manager), task.id)
