"""Register: make one's own account and be signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.ports.security import TokenClaims
from taskflow_core.use_cases.auth.log_in import SignedIn
from taskflow_core.use_cases.users.create import CreateUser, NewUser, add_user
from taskflow_core.users import UserView

if TYPE_CHECKING:
    from taskflow_core.ports.security import AccessTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Who registers."""

    email: str
    name: str
    password: str

    def __repr__(self) -> str:
        """Return all but the password."""
        return f"Registration(email={self.email!r})"


@dataclass(frozen=True, slots=True)
class Register:
    """Open an account with the role of a user."""

    accounts: CreateUser
    tokens: AccessTokens

    async def __call__(self, command: Registration) -> SignedIn:
        """Return the new account, signed in.

        Raises:
            InvalidInput: A field breaks its rule; all that do are named.
            EmailTaken: A live account has the email.
            Overloaded: Too many wait for a password hash.
        """
        new = NewUser(email=command.email, name=command.name, password=command.password)
        user = await add_user(self.accounts, new)
        token = self.tokens.issue(TokenClaims(user.id, user.role), self.accounts.clock())
        return SignedIn(UserView.of(user), token)
