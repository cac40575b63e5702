"""Register: make one's own account and be signed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskflow_core.sessions import Origin, Session
from taskflow_core.use_cases.users.create import CreateUser, NewUser, new_user
from taskflow_core.users import UserView

if TYPE_CHECKING:
    from taskflow_core.use_cases.auth.signing_in import SignedIn, TokenPairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Who registers."""

    email: str
    name: str
    password: str
    origin: Origin = field(default_factory=Origin)

    def __repr__(self) -> str:
        """Return all but the password."""
        return f"Registration(email={self.email!r})"


@dataclass(frozen=True, slots=True)
class Register:
    """Open an account with the role of a user, and its first session."""

    accounts: CreateUser
    tokens: TokenPairs

    async def __call__(self, command: Registration) -> SignedIn:
        """Return the new account, signed in.

        Raises:
            InvalidInput: A field breaks its rule; all that do are named.
            EmailTaken: A live account has the email.
            Overloaded: Too many wait for a password hash.
        """
        ports = self.accounts
        new = NewUser(email=command.email, name=command.name, password=command.password)
        user = await new_user(ports, new)
        now, seed = user.created_at, self.tokens.refresh.new_seed()
        session = Session.open(id=ports.ids(now), user_id=user.id, seed=seed, origin=command.origin, now=now)
        async with ports.transactions() as transaction:
            transaction.users.add(user)
            transaction.sessions.open(session, password_version=user.password_version)
            await transaction.commit()
        return self.tokens.of(session, UserView.of(user), now)
