"""Demo accounts and tasks: what `taskflow dev` starts with and `taskflow seed` adds."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from taskflow_bootstrap.container import Container, taskflow_of
from taskflow_bootstrap.demo_accounts import DEMO_USERS, DemoUser
from taskflow_core import Actor, NewTask, NotFound, Priority, Role, Status, User, UserQuery
from taskflow_core.users import check_password

_USERS_TASKS: Final = (
    # Title, status, priority, days until it is due.
    ("Read the five-minute tour in the README", Status.IN_PROGRESS, Priority.HIGH, 1),
    ("Create a task by curl", Status.PENDING, Priority.MEDIUM, 3),
    ("Look at the API's page under /api", Status.COMPLETED, Priority.MEDIUM, None),
    ("Export all tasks: taskflow tasks export -", Status.PENDING, Priority.LOW, 14),
    ("Water the plants", Status.PENDING, Priority.HIGH, -2),
)
_ADMINS_TASKS: Final = (
    ("Make an account for a colleague: taskflow users create", Status.PENDING, Priority.HIGH, 2),
    (
        "Watch a job fail and be retried: taskflow jobs sample --fail 2",
        Status.IN_PROGRESS,
        Priority.MEDIUM,
        4,
    ),
    ("Check this installation: taskflow doctor", Status.COMPLETED, Priority.HIGH, None),
    ("See who signed in where: taskflow auth events", Status.PENDING, Priority.LOW, 10),
    ("Renew the certificate of the reverse proxy", Status.PENDING, Priority.HIGH, -1),
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """An account that was made, and the only time that its password is told."""

    email: str
    role: Role
    password: str
    tasks: int


async def is_empty(container: Container) -> bool:
    """Return whether nobody has an account yet."""
    page = await container.use_cases().list_users(UserQuery(limit=1), Actor.operator())
    return not page.items


async def seed(container: Container, *, known_passwords: bool) -> list[Seeded]:
    """Make those of the demo accounts that are not there, and their tasks; return them.

    Args:
        container: Of the database.
        known_passwords: Whether they get the passwords that everybody knows: in `taskflow dev` alone.
            Else each gets a random one.
    """
    missing = [user for user in DEMO_USERS if not await _exists(container, user.email)]
    made = [user if known_passwords else _with_random_password(user) for user in missing]
    accounts = [await _account(container, user) for user in made]
    async with container.transactions()() as transaction:
        for account in accounts:
            transaction.users.add(account)
        await transaction.commit()
    return [
        Seeded(user.email, user.role, user.password, await _tasks(container, account))
        for user, account in zip(made, accounts, strict=True)
    ]


async def _exists(container: Container, email: str) -> bool:
    try:
        await taskflow_of(container).user_by_email(email)
    except NotFound:
        return False
    return True


def _with_random_password(user: DemoUser) -> DemoUser:
    return DemoUser(user.email, user.name, user.role, check_password(secrets.token_urlsafe(16)))


async def _account(container: Container, user: DemoUser) -> User:
    # Not by the use case: the demo's "user123" is a character shorter than a password may be.
    now = container.clock()()
    return User.create(
        id=container.ids()(now),
        email=user.email,
        name=user.name,
        password_hash=await container.passwords().hash(user.password),
        role=user.role,
        now=now,
    )


async def _tasks(container: Container, owner: User) -> int:
    actor = Actor.of(owner.id, owner.role)
    now = container.clock()()
    tasks = _ADMINS_TASKS if owner.role is Role.ADMIN else _USERS_TASKS
    for title, status, priority, days in tasks:
        due = None if days is None else now + timedelta(days=days)
        task = NewTask(title=title, status=status, priority=priority, due_date=due)
        await container.use_cases().create_task(task, actor)
    return len(tasks)
