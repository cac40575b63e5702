"""Make an account for somebody."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from taskflow_core.fields import check_fields
from taskflow_core.permissions import Actor, Permission
from taskflow_core.use_cases.actors import load_users
from taskflow_core.users import FIELD_RULES, Role, User, UserView, check_new_password

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskflow_core.ports.persistence import Transactions
    from taskflow_core.ports.security import CommonPasswords, PasswordHasher
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
    common: CommonPasswords
    clock: Clock
    ids: Ids

    async def __call__(self, command: NewUser, actor: Actor) -> UserView:
        """Return the account as it was made.

        Raises:
            Unauthenticated: The actor's session ended meanwhile.
            Forbidden: Without the permission to manage users.
            InvalidInput: A field breaks its rule; all that do are named.
            EmailTaken: A live account has the email.
            Overloaded: Too many wait for a password hash.
        """
        actor.require(Permission.MANAGE_USERS)
        user = await new_user(self, command)
        async with self.transactions(actor.once) as transaction:
            _, actor = await load_users(transaction, actor)
            actor.require(Permission.MANAGE_USERS)
            transaction.replay()
            transaction.users.add(user)
            await transaction.commit(UserView.of(user))
        return UserView.of(user)


async def new_user(ports: CreateUser, command: NewUser) -> User:
    """Return a new account, checked, its password hashed (outside of any transaction: it takes long)."""
    rules: dict[str, Callable[[Any], object]] = {
        **FIELD_RULES,
        "password": partial(_password_rule, command, ports.common),
    }
    given = {"email": command.email, "name": command.name, "password": command.password}
    fields = check_fields(rules, given)
    hashed = await ports.passwords.hash(fields["password"])
    now = ports.clock()
    return User.create(
        id=ports.ids(now), email=fields["email"], name=fields["name"], password_hash=hashed,
        role=command.role, active=command.active, now=now,
    )  # fmt: skip


def _password_rule(command: NewUser, common: CommonPasswords, password: str) -> str:
    return check_new_password(password, email=command.email, name=command.name, common=common)
