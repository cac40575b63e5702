"""Make an account for somebody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.fields import check_fields
from taskflow_core.permissions import Actor, Permission
from taskflow_core.users import FIELD_RULES, Role, User, UserView

if TYPE_CHECKING:
    from taskflow_core.ports.persistence import Transactions
    from taskflow_core.ports.security import PasswordHasher
    from taskflow_core.ports.time import Clock, Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """What the account is to be."""

    email: str
    name: str
    password: str
    role: Role = Role.USER
    active: bool = True

    def __repr__(self) -> str:
        """Return all but the password."""
        return f"NewUser(email={self.email!r}, role={self.role!r}, active={self.active!r})"


@dataclass(frozen=True, slots=True)
class CreateUser:
    """Make an account; who registers by oneself goes through `Register`."""

    transactions: Transactions
    passwords: PasswordHasher
    clock: Clock
    ids: Ids

    async def __call__(self, command: NewUser, actor: Actor) -> UserView:
        """Return the account as it was made.

        Raises:
            Forbidden: Without the permission to manage users.
            InvalidInput: A field breaks its rule; all that do are named.
            EmailTaken: A live account has the email.
            Overloaded: Too many wait for a password hash.
        """
        actor.require(Permission.MANAGE_USERS)
        return UserView.of(await add_user(self, command))


async def add_user(ports: CreateUser, command: NewUser) -> User:
    """Check, hash (outside of any transaction: it takes long), and keep a new account."""
    given = {"email": command.email, "name": command.name, "password": command.password}
    fields = check_fields(FIELD_RULES, given)
    hashed = await ports.passwords.hash(fields["password"])
    now = ports.clock()
    user = User.create(
        id=ports.ids(now), email=fields["email"], name=fields["name"], password_hash=hashed,
        role=command.role, active=command.active, now=now,
    )  # fmt: skip
    async with ports.transactions() as transaction:
        transaction.users.add(user)
        await transaction.commit()
    return user
