"""Sign in with email and password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.errors import InvalidCredentials
from taskflow_core.ports.security import TokenClaims
from taskflow_core.users import PASSWORD_MAX, check_email

if TYPE_CHECKING:
    from taskflow_core.ports.persistence import UserReads
    from taskflow_core.ports.security import AccessToken, AccessTokens, PasswordHasher
    from taskflow_core.ports.time import Clock
    from taskflow_core.users import Credentials, UserView


@dataclass(frozen=True, slots=True)
class LogInAttempt:
    """What somebody claims to be."""

    email: str
    password: str

    def __repr__(self) -> str:
        """Return all but the password."""
        return f"LogInAttempt(email={self.email!r})"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, and the token that shows it."""

    user: UserView
    access_token: AccessToken


@dataclass(frozen=True, slots=True)
class LogIn:
    """Sign in. Neither the answer nor the work done shows what is wrong, or whether the account exists."""

    users: UserReads
    passwords: PasswordHasher
    tokens: AccessTokens
    clock: Clock

    async def __call__(self, command: LogInAttempt) -> SignedIn:
        """Return the account and its token.

        Raises:
            InvalidCredentials: They do not open an active account.
            Overloaded: Too many wait for a password hash.
        """
        found = await self._find(command.email)
        # No valid password is longer: the rest is cut off so that nobody makes us hash megabytes.
        given = command.password[: PASSWORD_MAX + 1]
        matches = await self.passwords.verify(given, found.password_hash if found else None)
        if found is None or not matches or not found.user.active:
            raise InvalidCredentials
        claims = TokenClaims(found.user.id, found.user.role)
        return SignedIn(found.user, self.tokens.issue(claims, self.clock()))

    async def _find(self, email: str) -> Credentials | None:
        try:
            known_as = check_email(email)
        except ValueError:
            return None
        return await self.users.credentials(known_as)
