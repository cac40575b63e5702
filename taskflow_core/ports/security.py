"""Passwords and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.users import Role


class PasswordHasher(Protocol):
    """Hashes slowly, off the event loop."""

    async def hash(self, password: str) -> str:
        """Return a salted hash in which every byte of the password counts.

        Raises:
            Overloaded: Too many wait for a hash already.
        """
        ...

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Return whether `hashed` was made of `password`; a damaged hash matches nothing.

        None stands for an account that does not exist: the answer is False after the same work.

        Raises:
            Overloaded: Too many wait for a hash already.
        """
        ...


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token (RFC 6750).

    Attributes:
        value: What the client sends.
        expires_in: Seconds that it is good for.
    """

    value: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a believed token says."""

    user_id: UUID
    role: Role


class AccessTokens(Protocol):
    """Issues and checks access tokens."""

    def issue(self, claims: TokenClaims, now: datetime) -> AccessToken:
        """Return a token that says `claims` from `now` until it expires."""
        ...

    def check(self, token: str, now: datetime) -> TokenClaims:
        """Return what the token says.

        Raises:
            Unauthenticated: It is not ours, was changed, or is expired or not yet valid.
        """
        ...
