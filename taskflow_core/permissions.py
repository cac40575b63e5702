"""Who may do what: actors, permissions, and the checks that use cases call.

The rule for what a caller may not do: what it may not see is `NotFound`, the same as what does not
exist; what it may see but not do is `Forbidden`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from taskflow_core.errors import Forbidden, NotFound
from taskflow_core.users import Role

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from taskflow_core.idempotency import Once


class Permission(StrEnum):
    """One thing that a role may allow beyond what is one's own."""

    SEE_ANY_TASK = "tasks:see:any"
    CHANGE_ANY_TASK = "tasks:change:any"
    DELETE_ANY_TASK = "tasks:delete:any"
    SEE_USERS = "users:see"
    MANAGE_USERS = "users:manage"
    SEE_ANY_EVENT = "events:see:any"
    SEE_JOBS = "jobs:see"
    STEER_JOBS = "jobs:steer"


_MANAGER: Final = frozenset({Permission.SEE_ANY_TASK, Permission.CHANGE_ANY_TASK, Permission.SEE_USERS})

PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.USER: frozenset(),
    Role.MANAGER: _MANAGER,
    Role.ADMIN: frozenset(Permission),
}
"""Role to permissions. What is one's own needs none."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks.

    Attributes:
        id: The user's; None is the operator of the installation, who is named so in history.
        permissions: What it may do beyond what is its own.
        request_id: Of the request that it asks by, kept in history; None outside of one.
        session_id: Of the session that it asks in; None outside of one.
        once: What the request is known by where it is to be done once only.
    """

    id: UUID | None
    permissions: frozenset[Permission] = field(default_factory=frozenset)
    request_id: str | None = None
    session_id: UUID | None = None
    once: Once | None = None

    @classmethod
    def of(
        cls, user_id: UUID, role: Role, request_id: str | None = None, session_id: UUID | None = None
    ) -> Actor:
        """Return the actor that a user with this role is."""
        return cls(user_id, PERMISSIONS[role], request_id, session_id)

    @classmethod
    def operator(cls, request_id: str | None = None) -> Actor:
        """Return whoever runs this installation: may do all, owns nothing."""
        return cls(None, frozenset(Permission), request_id)

    def may(self, permission: Permission) -> bool:
        """Return whether the actor holds the permission."""
        return permission in self.permissions

    def require(self, permission: Permission) -> None:
        """Raise `Forbidden` where the actor lacks the permission."""
        if permission not in self.permissions:
            raise lacks(permission)

    def owns(self, owner: UUID) -> bool:
        """Return whether what belongs to `owner` is the actor's own."""
        return self.id is not None and self.id == owner


def lacks(permission: Permission) -> Forbidden:
    """Return the refusal of an actor without the permission, which says who has it."""
    roles = " or ".join(role for role in Role if permission in PERMISSIONS[role])
    return Forbidden(f"You may not do this: it needs the permission {permission} (role {roles}).")


def seen_owner(actor: Actor) -> UUID | None:
    """Return the one owner whose tasks the actor may see; None where it may see everyone's.

    Raises:
        NotFound: The actor is nobody and may see nothing.
    """
    if actor.may(Permission.SEE_ANY_TASK):
        return None
    if actor.id is None:
        raise NotFound
    return actor.id


def require_see_task(actor: Actor, owner: UUID) -> None:
    """Raise `NotFound` where the actor may not know of this owner's tasks."""
    if not actor.owns(owner) and not actor.may(Permission.SEE_ANY_TASK):
        raise NotFound


def require_change_task(actor: Actor, owner: UUID) -> None:
    """Raise `NotFound` where the actor may not see this owner's tasks, `Forbidden` where not change them."""
    require_see_task(actor, owner)
    if not actor.owns(owner):
        actor.require(Permission.CHANGE_ANY_TASK)


def require_delete_task(actor: Actor, owner: UUID) -> None:
    """Raise `NotFound` where the actor may not see this owner's tasks, `Forbidden` where not delete them.

    Who may delete may restore.
    """
    require_see_task(actor, owner)
    if not actor.owns(owner):
        actor.require(Permission.DELETE_ANY_TASK)


def require_assign(actor: Actor, owner: UUID) -> None:
    """Raise `Forbidden` where the actor may not create for, or move to, this owner."""
    if not actor.owns(owner):
        actor.require(Permission.CHANGE_ANY_TASK)


def require_take(actor: Actor, owner: UUID) -> None:
    """Raise `NotFound` or `Forbidden` where the actor may not move this owner's tasks to itself.

    What is one's own can be deleted, so to take another's task needs the permission to delete it.
    """
    require_change_task(actor, owner)
    if not actor.owns(owner):
        actor.require(Permission.DELETE_ANY_TASK)


def require_query_owner(actor: Actor, owner: UUID | None) -> None:
    """Raise `Forbidden` where the actor may not ask for the tasks of `owner` (None: everyone's)."""
    if owner is None or not actor.owns(owner):
        actor.require(Permission.SEE_ANY_TASK)


def require_see_user(actor: Actor, user: UUID) -> None:
    """Raise `NotFound` where the actor may not see this user."""
    if not actor.owns(user) and not actor.may(Permission.SEE_USERS):
        raise NotFound


def require_change_user(actor: Actor, user: UUID, *, own_profile_only: bool) -> None:
    """Raise `NotFound` or `Forbidden` where the actor may not change this user.

    Args:
        actor: Who asks.
        user: Who is to change.
        own_profile_only: Whether the change touches only what everybody may change of oneself.
    """
    require_see_user(actor, user)
    if not (actor.owns(user) and own_profile_only):
        actor.require(Permission.MANAGE_USERS)
