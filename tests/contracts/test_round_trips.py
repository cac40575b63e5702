"""Everything that is kept comes back as it was, field by field."""

from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, entry_of, new_id, new_task, new_user
from taskflow_core import (
    Action,
    Credentials,
    FieldChange,
    HistoryEntry,
    Origin,
    Priority,
    Role,
    Status,
    Task,
    User,
    UserView,
)

NASTY = "Zoë's “naïve” 雪だるま ☃️ \U0001f9d1\u200d\U0001f680 %_\\ \" '; DROP TABLE users; -- \u202etxet"
LATER = NOW + timedelta(hours=1)


def assert_no_field_is_at_its_default(thing: Any, *, but: str = "") -> None:
    defaults = {f.name: None if f.default is MISSING else f.default for f in fields(thing) if f.name != but}
    assert [name for name, default in defaults.items() if getattr(thing, name) == default] == []


async def full_task(persistence: Persistence) -> Task:
    """A task in whose row nothing is as a new task has it."""
    owner = await persistence.new_user()
    return new_task(
        owner.id,
        title=NASTY,
        description=NASTY * 100,
        status=Status.COMPLETED,
        priority=Priority.HIGH,
        due_date=NOW + timedelta(days=3, microseconds=7),
        created_at=NOW + timedelta(seconds=1),
        updated_at=NOW + timedelta(seconds=2),
        completed_at=NOW + timedelta(seconds=3),
        deleted_at=NOW + timedelta(seconds=4),
        version=7,
    )


def full_user() -> User:
    return new_user(
        email="zoë.ünïcode+tag@例え.example",
        name=NASTY,
        password_hash="$2b$12$" + "x" * 53,
        role=Role.ADMIN,
        active=False,
        created_at=NOW + timedelta(seconds=1),
        updated_at=NOW + timedelta(seconds=2),
        version=9,
        password_version=5,
        notifications=False,
    )


async def test_a_task_comes_back_with_every_field(persistence: Persistence) -> None:
    task = await full_task(persistence)
    assert_no_field_is_at_its_default(task)
    await persistence.add_tasks(task)
    stored = await persistence.task(task.id)
    assert stored == task
    assert isinstance(stored, Task)
    assert (type(stored.status), type(stored.priority)) == (Status, Priority)
    assert all(t is not None and t.utcoffset() == timedelta(0) for t in (stored.due_date, stored.created_at))


async def test_a_task_comes_back_with_nothing_where_it_has_nothing(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = await persistence.new_task(owner.id)
    assert (task.description, task.due_date, task.completed_at, task.deleted_at) == (None,) * 4
    assert await persistence.task(task.id) == task


async def test_an_empty_description_is_not_none(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = await persistence.new_task(owner.id, description="")
    assert await persistence.task(task.id) == task


@pytest.mark.parametrize(
    "time", [datetime(1900, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, 23, 59, tzinfo=UTC)]
)
async def test_the_ends_of_time_are_kept(persistence: Persistence, time: datetime) -> None:
    owner = await persistence.new_user()
    task = await persistence.new_task(owner.id, due_date=time)
    assert await persistence.task(task.id) == task


async def test_saving_writes_every_field(persistence: Persistence) -> None:
    owner, heir = await persistence.new_user(), await persistence.new_user()
    before = await persistence.new_task(owner.id)
    full = await full_task(persistence)
    after = replace(full, id=before.id, user_id=heir.id, created_at=before.created_at, version=2)
    async with persistence.transactions() as unit:
        await unit.tasks.load([before.id], and_owners=[heir.id])
        unit.tasks.save(after, entry_of(after, action=Action.UPDATED))
        await unit.commit()
    assert await persistence.task(before.id) == after


async def test_a_history_entry_comes_back_with_every_field(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = new_task(owner.id)
    changes = {"title": FieldChange(NASTY, None), "description": FieldChange(None, "")}
    entry = HistoryEntry(new_id(), task.id, 1, LATER, new_id(), Action.RESTORED, changes, NASTY)
    async with persistence.transactions() as unit:
        unit.tasks.add(task, entry)
        await unit.commit()
    assert await persistence.history(task.id) == [entry]


async def test_an_entry_of_the_operator_with_no_changes_comes_back(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = new_task(owner.id)
    entry = entry_of(task, actor_id=None, changes={}, request_id=None, action=Action.DELETED)
    async with persistence.transactions() as unit:
        unit.tasks.add(task, entry)
        await unit.commit()
    assert await persistence.history(task.id) == [entry]


async def test_a_user_comes_back_with_every_field(persistence: Persistence) -> None:
    user = full_user()
    assert_no_field_is_at_its_default(user, but="deleted_at")
    await persistence.add_users(user)
    stored = await persistence.user(user.id)
    assert stored == user
    assert isinstance(stored, User)
    assert type(stored.role) is Role
    assert await persistence.user_reads.user(user.id) == UserView.of(user)
    found = await persistence.user_reads.credentials(user.email, Origin())
    assert found is not None
    assert found == Credentials(UserView.of(user), user.password_hash, 5)


async def test_saving_writes_every_field_of_a_user(persistence: Persistence) -> None:
    before = await persistence.new_user()
    after = replace(full_user(), id=before.id, created_at=before.created_at)
    async with persistence.transactions() as unit:
        await unit.users.load(before.id)
        unit.users.save(after)
        await unit.commit()
    assert await persistence.user(before.id) == after
