"""`taskflow` over a TaskFlow in memory, the same each time: `python -m support.memory_cli ARGUMENTS`."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import taskflow_cli.session
from support.cli import Cli
from support.samples import NOW, World, entry_of, new_event, new_task
from taskflow_bootstrap.embedded import TaskFlow
from taskflow_cli.main import main
from taskflow_core import FieldChange, JobState, Origin, Priority, Role, Status, User

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
TASKS = (
    ("Feed the 🐈 and water the plants while everybody is away in August", Status.PENDING, 3),
    (
        "買い物リストを書いて、猫に餌をやり、植物に水をやり、手紙を出して、銀行に電話する",
        Status.IN_PROGRESS,
        1,
    ),
    ("Family 👨‍👩‍👧‍👦 dinner, café, می‌خواهم, \u0600\u0661", Status.COMPLETED, None),
    ("Controls: \x1b[31m \x9b31m \x7f \u202eabc \u2066abc \u2028 \U000e0041", Status.CANCELLED, -2),
)


def fixed_id(number: int) -> UUID:
    """The id of what was made as the `number`th, in a world of `fixed_world`."""
    return UUID(f"019a4967-4b63-7000-8000-{number:012d}")


def fixed_world() -> World:
    """The same accounts, tasks, sessions, jobs and events each time."""
    world, ids = World(), map(fixed_id, itertools.count(1))
    ada = world.add_user(Role.ADMIN, id=next(ids), email="ada@example.com", name="Ada Lovelace")
    grace = world.add_user(
        id=next(ids), email="grace.brewster.murray@navy.example.com", name="Grace Hopper 買い物リスト"
    )
    _add_tasks(world, ids, ada, grace)
    world.add_session(ada.id, id=next(ids), origin=Origin(user_agent=AGENT))
    event = new_event(ada.id, id=next(ids), detail={"userAgent": AGENT})
    world.store.events[event.id] = event
    for kind, state in (("task.overdue", JobState.PENDING), ("clean_up.idempotency_keys", JobState.DEAD)):
        error = "The mail server did not answer within 10 seconds." if state is JobState.DEAD else None
        world.add_job(kind, id=next(ids), state=state, error=error, tries=5, max_tries=5)
    return world


def _add_tasks(world: World, ids: Iterator[UUID], *owners: User) -> None:
    for (title, status, days), owner in zip(TASKS, itertools.cycle(owners), strict=False):
        due = None if days is None else NOW + timedelta(days=days)
        task = new_task(
            owner.id, id=next(ids), title=title, status=status, priority=Priority.HIGH, due_date=due
        )
        changes = {"title": FieldChange(None, title), "priority": FieldChange("MEDIUM", "HIGH")}
        world.store.put_task(task, entry_of(task, id=next(ids), changes=changes))


@asynccontextmanager
async def open_fixed(data_dir: Path | None) -> AsyncIterator[TaskFlow]:
    async with Cli(fixed_world())._open(data_dir) as taskflow:
        yield taskflow


if __name__ == "__main__":
    taskflow_cli.session.open_found = open_fixed
    main()
