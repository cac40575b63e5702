"""The users of one unit of work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskflow_core.users import Role, User
from taskflow_sqlalchemy.statements import (
    ADD_USER,
    LOCK_USER,
    LOCK_USERS,
    LOCK_USERS_AND_ADMINS,
    SAVE_USER,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from taskflow_sqlalchemy.statements import Statement
    from taskflow_sqlalchemy.task_repository import Unit


class SqlAlchemyUsers:
    """Loads with locks, collects what is to be written (port `UserRepository`)."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._written: list[Statement] = []

    async def load(self, user_id: UUID) -> User | None:
        """Return the user, locked."""
        (rows,) = await self._unit.ask((LOCK_USER, {"id": user_id}))
        return _user(rows[0]) if rows else None

    async def load_many(self, ids: Collection[UUID], *, and_admins: bool = False) -> Mapping[UUID, User]:
        """Return the users, locked in id order."""
        (rows,) = await self._unit.ask(
            (LOCK_USERS_AND_ADMINS if and_admins else LOCK_USERS, {"ids": list(ids)})
        )
        return {row[0]: _user(row) for row in rows}

    def add(self, user: User) -> None:
        """Keep a new user for `commit`."""
        self._written.append((ADD_USER, _row(user)))

    def save(self, user: User) -> None:
        """Keep a loaded user for `commit`."""
        self._written.append((SAVE_USER, _row(user)))

    def written(self) -> list[Statement]:
        """Return the statements that write what was added and saved."""
        return self._written


def _user(row: tuple[Any, ...]) -> User:
    (id, email, name, password_hash, role, active,
     created_at, updated_at, version, deleted_at, password_version, notifications) = row  # fmt: skip
    return User(
        id=id, email=email, name=name, password_hash=password_hash, role=Role(role), active=active,
        created_at=created_at, updated_at=updated_at, version=version, deleted_at=deleted_at,
        password_version=password_version, notifications=notifications,
    )  # fmt: skip


def _row(user: User) -> dict[str, Any]:
    return {
        "id": user.id, "email": user.email, "name": user.name, "password_hash": user.password_hash,
        "role": str(user.role), "active": user.active, "created_at": user.created_at,
        "updated_at": user.updated_at, "version": user.version, "deleted_at": user.deleted_at,
        "password_version": user.password_version, "notifications": user.notifications,
    }  # fmt: skip
