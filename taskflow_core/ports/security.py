"""Passwords and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.sessions import Session


class PasswordHasher(Protocol):
    """Hashes slowly, off the event loop."""

    async def hash(self, password: str) -> str:
        """Return a salted hash in which every byte of the password counts.

        Raises:
            Overloaded: Too many wait for a hash already.
        """
        ...

    async def verify(self, password: str, hashed: str | None, *, signed_in: bool = False) -> bool:
        """Return whether `hashed` was made of `password`; a damaged hash matches nothing.

        None stands for an account that does not exist: the answer is False after the same work.
        With `signed_in` the work waits in the line of `hash`, so that log-ins do not wait behind it.

        Raises:
            Overloaded: Too many wait for a hash already.
        """
        ...

    def is_outdated(self, hashed: str) -> bool:
        """Return whether `hashed` was made with other settings than those in force."""
        ...


class CommonPasswords(Protocol):
    """Knows the passwords that are tried first."""

    def __contains__(self, password: object) -> bool:
        """Return whether a password is a common one, in whatever letter case."""
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
    """What a believed token says: who, in which session. What that one may do is not the token's to say."""

    user_id: UUID
    session_id: UUID


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


@dataclass(frozen=True, slots=True)
class RefreshClaim:
    """What a refresh token says, not believed yet."""

    session_id: UUID
    generation: int
    mac: bytes


class RefreshTokens(Protocol):
    """Makes refresh tokens of sessions, and knows them again. No token is kept anywhere."""

    def new_seed(self) -> bytes:
        """Return the randomness of a new session, 32 bytes."""
        ...

    def of(self, session: Session) -> str:
        """Return the token of the session's current generation."""
        ...

    def read(self, token: str) -> RefreshClaim:
        """Return what a token says.

        Raises:
            Unauthenticated: It is no refresh token.
        """
        ...

    def is_genuine(self, claim: RefreshClaim, seed: bytes) -> bool:
        """Return whether the token was made here, for the session with this seed; in constant time."""
        ...
