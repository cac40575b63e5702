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
Notifications = Annotated[bool, Meta(description="Whether to tell of tasks that are overdue or assigned.")]
CurrentPassword = Annotated[str, Meta(extra_json_schema={"format": "password"})]


class Registration(In):
    """A new account of one's own."""

    email: Email
    name: Name
    password: Password


class Login(In):
    """Email and password of an account."""

    email: Annotated[str, Meta(examples=["ada@example.com"])]
    password: CurrentPassword


class Refresh(In):
    """The refresh token that the last answer with tokens gave."""

    refresh_token: str = msgspec.field(name="refresh_token")


class PasswordChange(In):
    """One's present password, and the one that is to take its place."""

    current_password: CurrentPassword
    new_password: Password


class NewUser(In):
    """An account to make for somebody."""

    email: Email
    name: Name
    password: Password
    role: Role = Role.USER
    active: bool = True


class UserPatch(In):
    """What is to change of an account; what is left out stays."""

    email: Email | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    notifications: Notifications | UnsetType = UNSET


class ProfilePatch(In):
    """What everybody may change of one's own account."""

    name: Name | UnsetType = UNSET
    notifications: Notifications | UnsetType = UNSET


class User(Out):
    """An account."""

    id: UUID
    email: str
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
    """Some accounts, in the order asked for."""

    data: list[User]
    next_cursor: NextCursor


class SignedIn(Struct):
    """Who signed in, and the tokens that show it. The names are OAuth 2's (RFC 6749 section 5.1)."""

    access_token: str
    refresh_token: Annotated[
        str, Meta(description="Good for one `POST /auth/refresh` within 30 days; its answer has the next.")
    ]
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Meta(description="Seconds that the access token is good for.")]
    user: User


class Session(Out):
    """A log-in that has not ended."""

    id: UUID
    created_at: Moment
    last_used_at: Annotated[Moment, Meta(description="When its tokens were given or last refreshed.")]
    user_agent: Annotated[str | None, Meta(description="What the client called itself at the log-in.")]
    current: Annotated[bool, Meta(description="Whether it is the one that asks.")]

    @classmethod
    def of(cls, view: SessionView, current: UUID | None) -> Session:
        """Return what goes out of a session."""
        return cls(view.id, view.created_at, view.last_used_at, view.user_agent, view.id == current)


class SessionList(Out):
    """The live sessions of an account, the last used first; 100 at most."""

    data: list[Session]


class SecurityEvent(Out):
    """One thing that happened to an account."""

    id: UUID
    type: EventType
    at: Moment
    user_id: UUID
    detail: Annotated[dict[str, str], Meta(description="More about it; what, depends on the type.")]

    @classmethod
    def of(cls, view: SecurityEventView) -> SecurityEvent:
        """Return what goes out of an event."""
        return cls(view.id, view.type, view.at, view.user_id, dict(view.detail))


class SecurityEventPage(Out):
    """Some events, newest first."""

    data: list[SecurityEvent]
    next_cursor: NextCursor
