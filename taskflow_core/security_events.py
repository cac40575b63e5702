"""What somebody should know who watches over an account."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.queries import Position

FAILURES_TOLD: Final = frozenset({5, 20, 100, 1_000, 10_000})
"""At which failed log-in in a row an event is written; each would drown the others."""


FORMER_EMAIL: Final = "former_email"
"""In the payload of a job: where to tell of an event, instead of at the account's address. It is in no event,
no notice's facts and no view of the job, and goes with the account if not before."""


class EventType(StrEnum):
    """The type of a security event."""

    NEW_DEVICE = "login.new_device"
    LOGIN_FAILURES = "login.failures"
    REFRESH_REUSED = "refresh.reused"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 a name
    ROLE_CHANGED = "role.changed"
    ACTIVITY_CHANGED = "activity.changed"
    EMAIL_CHANGED = "email.changed"


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """One thing that happened to an account.

    Attributes:
        user_id: Whose account.
        detail: More about it; no secret and no address in it.
    """

    id: UUID
    type: EventType
    at: datetime
    user_id: UUID
    detail: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events, newest first.

    Attributes:
        owner: Whose; None for everyone's.
    """

    owner: UUID | None
    type: EventType | None = None
    limit: int = 20
    after: Position | None = None
