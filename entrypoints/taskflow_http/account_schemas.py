"""The shapes on the wire of accounts, sessions and what happened to them; see `schemas`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from taskflow_core import EventType, Role
from taskflow_http import patterns
from taskflow_http.schemas import In, Moment, NextCursor, Out, Version

if TYPE_CHECKING:
    from taskflow_core import SecurityEvent as SecurityEventView
    from taskflow_core import SessionView, UserView

Email = Annotated[str, Meta(extra_json_schema=patterns.EMAIL)]
Name = Annotated[str, Meta(extra_json_schema=patterns.NAME)]
Password = Annotated[str, Meta(extra_json_schema=patterns.PASSWORD)]
Notifications = Annotated[bool, Meta(description="Whether to notify the user of overdue and assigned tasks.")]
CurrentPassword = Annotated[str, Meta(extra_json_schema={"format": "password"})]


class Registration(In):
    """A new account of the caller's own."""

    email: Email
    name: Name
    password: Password


class Login(In):
    """The email and password of an account."""

    email: Annotated[str, Meta(examples=["ada@example.com"])]
    password: CurrentPassword


class Refresh(In):
    """The refresh token of the latest response with tokens."""

    refresh_token: str = msgspec.field(name="refresh_token")


class PasswordChange(In):
    """The caller's current password, and the new one."""

    current_password: CurrentPassword
    new_password: Password


class NewUser(In):
    """An account to create for somebody."""

    email: Email
    name: Name
    password: Password
    role: Role = Role.USER
    active: bool = True


class UserPatch(In):
    """Changes to an account; a field that is absent stays as it is."""

    email: Email | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    notifications: Notifications | UnsetType = UNSET


class ProfilePatch(In):
    """Changes to the caller's own account; a field that is absent stays as it is."""

    name: Name | UnsetType = UNSET
    notifications: Notifications | UnsetType = UNSET


class User(Out):
    """An account."""

    id: UUID
    email: Annotated[str, Meta(extra_json_schema={"format": "email"})]
    name: str
    role: Role
    active: bool
    notifications: Notifications
    created_at: Moment
    updated_at: Moment
    version: Version

    @classmethod
    def of(cls, view: UserView) -> User:
        """Return what goes out of an account."""
        return cls(
            view.id, view.email, view.name, view.role, view.active, view.notifications,
            view.created_at, view.updated_at, view.version,
        )  # fmt: skip


class UserPage(Out):
    """A page of accounts."""

    data: list[User]
    next_cursor: NextCursor


class SignedIn(Struct):
    """The tokens of a session and its user. The names are those of OAuth 2 (RFC 6749 section 5.1)."""

    access_token: str
    refresh_token: Annotated[
        str, Meta(description="For one `POST /auth/refresh` within 30 days; the response has the next one.")
    ]
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Meta(description="Seconds until the access token expires.")]
    user: User


class Session(Out):
    """A session that has not ended."""

    id: UUID
    created_at: Moment
    last_used_at: Annotated[Moment, Meta(description="The time of the log-in or of the last refresh.")]
    user_agent: Annotated[str | None, Meta(description="The `User-Agent` of the log-in.")]
    current: Annotated[bool, Meta(description="Whether it is the session of this request.")]

    @classmethod
    def of(cls, view: SessionView, current: UUID | None) -> Session:
        """Return what goes out of a session."""
        return cls(view.id, view.created_at, view.last_used_at, view.user_agent, view.id == current)


class SessionList(Out):
    """The sessions of an account that have not ended, last used first; 100 at most."""

    data: list[Session]


class SecurityEvent(Out):
    """A security event of an account."""

    id: UUID
    type: EventType
    at: Moment
    user_id: UUID
    detail: Annotated[dict[str, str], Meta(description="Details; their names depend on the type.")]

    @classmethod
    def of(cls, view: SecurityEventView) -> SecurityEvent:
        """Return what goes out of an event."""
        return cls(view.id, view.type, view.at, view.user_id, dict(view.detail))


class SecurityEventPage(Out):
    """A page of security events, newest first."""

    data: list[SecurityEvent]
    next_cursor: NextCursor
