"""Sessions: what a log-in opens, how its refresh token rotates, and when it ends.

A session has a generation. Its refresh token names one; refreshing with the current one advances it.
A token that was replaced a moment ago (parallel tabs, an answer that was lost) gets the current token
again; one that was replaced longer ago has been copied, and ends the session (RFC 9700 section 4.14.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.users import Role

IDLE_LIFETIME: Final = timedelta(days=30)
"""How long a session lives without being refreshed."""
LIFETIME: Final = timedelta(days=90)
"""How long a session lives at most."""
GRACE: Final = timedelta(seconds=30)
"""How long a replaced refresh token still gets the current one, unless set otherwise."""
REPLACED_MAX: Final = 100
"""How many replaced generations are remembered; a client does not need more within the grace."""
USER_AGENT_MAX: Final = 300
"""Characters kept of what a client calls itself."""


class End(StrEnum):
    """Why a session ended."""

    LOGGED_OUT = "logged_out"
    ENDED_BY_USER = "ended_by_user"
    ENDED_BY_OPERATOR = "ended_by_operator"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 a reason
    DEACTIVATED = "deactivated"
    REFRESH_REUSED = "refresh_reused"


class Refreshed(StrEnum):
    """What became of a refresh."""

    ADVANCED = "advanced"
    REPEATED = "repeated"
    REUSED = "reused"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from, as far as it may be remembered.

    Attributes:
        address: A keyed hash of the address; None where there is none (the CLI).
        network: A keyed hash of the network that the address is in.
        user_agent: What the client calls itself; its first 300 characters are kept.
    """

    address: str | None = None
    network: str | None = None
    user_agent: str | None = None

    def __post_init__(self) -> None:
        """Cut off what is not kept, so that what is compared is what was stored."""
        if self.user_agent is not None:
            object.__setattr__(self, "user_agent", self.user_agent[:USER_AGENT_MAX])


@dataclass(slots=True, kw_only=True)
class Session:
    """A log-in.

    Attributes:
        seed: Secret randomness of this session, from which, with the server's key, its tokens are made.
        generation: Of the current refresh token, from 1.
        replaced: When the generations before it were replaced, the newest first, as far back as the grace.
        last_used_at: When it was opened or last refreshed.
        ended_at: When it ended; None while it lives.
    """

    id: UUID
    user_id: UUID
    seed: bytes
    origin: Origin
    created_at: datetime
    last_used_at: datetime
    generation: int = 1
    replaced: tuple[datetime, ...] = ()
    ended_at: datetime | None = None
    end: End | None = None

    @classmethod
    def open(cls, *, id: UUID, user_id: UUID, seed: bytes, origin: Origin, now: datetime) -> Session:
        """Return a new session."""
        return cls(id=id, user_id=user_id, seed=seed, origin=origin, created_at=now, last_used_at=now)

    @property
    def expires_at(self) -> datetime:
        """When it ends by itself: 30 days after its last use, 90 after it was opened."""
        return min(self.last_used_at + IDLE_LIFETIME, self.created_at + LIFETIME)

    def is_live(self, now: datetime) -> bool:
        """Return whether it neither ended nor expired."""
        return self.ended_at is None and now < self.expires_at

    def refresh(self, generation: int, now: datetime, grace: timedelta) -> Refreshed:
        """Use the refresh token of a generation, which is known to be genuine.

        Args:
            generation: That the token names.
            now: By the store's clock, read under the session's lock: the clocks of two instances differ.
            grace: How long ago a generation may have been replaced; zero turns repeating off.
        """
        if not self.is_live(now) or generation > self.generation:
            return Refreshed.REFUSED
        if generation == self.generation:
            kept = [at for at in self.replaced if now - at <= grace]
            self.replaced = (now, *kept)[:REPLACED_MAX]
            self.generation += 1
            self.last_used_at = now
            return Refreshed.ADVANCED
        index = self.generation - 1 - generation
        if index < len(self.replaced) and grace and now - self.replaced[index] <= grace:
            return Refreshed.REPEATED
        self.finish(End.REFRESH_REUSED, now)
        return Refreshed.REUSED

    def finish(self, end: End, now: datetime) -> bool:
        """End it; return False where it had ended before."""
        if self.ended_at is not None:
            return False
        self.ended_at, self.end = now, end
        return True


@dataclass(frozen=True, slots=True)
class SessionView:
    """A live session as its user sees it."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class Identity:
    """What holds of a session at this moment; asked anew for every request, never remembered.

    Attributes:
        data_version: Moves with every change of this user's tasks.
    """

    session_id: UUID
    user_id: UUID
    role: Role
    data_version: int
