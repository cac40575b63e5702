"""Change a password: one's own by the present one, or anybody's where one manages users."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from taskflow_core.errors import InvalidCredentials, NotFound, Overloaded, TooManyAttempts, Unauthenticated
from taskflow_core.fields import check_fields
from taskflow_core.permissions import Actor, Permission
from taskflow_core.security_events import EventType, SecurityEvent
from taskflow_core.sessions import End, Origin
from taskflow_core.use_cases.actors import load_users
from taskflow_core.use_cases.events import keep_event
from taskflow_core.users import check_new_password, normalized_password

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_core.ports.persistence import LoginAttempts, Transactions, UserReads
    from taskflow_core.ports.security import CommonPasswords, PasswordHasher
    from taskflow_core.ports.time import Clock, Ids
    from taskflow_core.users import UserView


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """The present password, and the new one."""

    current: str
    new: str

    def __repr__(self) -> str:
        """Return neither."""
        return "PasswordChange()"


@dataclass(frozen=True, slots=True)
class PasswordReset:
    """Whose password is to become what."""

    user_id: UUID
    new: str

    def __repr__(self) -> str:
        """Return all but the password."""
        return f"PasswordReset(user_id={self.user_id!r})"


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Set a password, and end the sessions that the old one opened."""

    transactions: Transactions
    passwords: PasswordHasher
    common: CommonPasswords
    clock: Clock
    ids: Ids

    def check(self, user: UserView, new: str, *, field: str) -> str:
        """Return the new password in NFKC.

        Raises:
            InvalidInput: It breaks a rule; it is called `field` in the fault.
        """
        rule = partial(check_new_password, email=user.email, name=user.name, common=self.common)
        checked: str = check_fields({field: rule}, {field: new})[field]
        return checked

    async def __call__(self, user: UserView, new: str, actor: Actor, *, seen: int | None, field: str) -> None:
        """Set it.

        Args:
            user: Whose.
            new: The new password.
            actor: Who sets it; the session in which it asks stays.
            seen: The password's version that was proved to be known; None where that is not asked.
            field: What the new password is called in a fault.
        """
        hashed = await self.passwords.hash(self.check(user, new, field=field))
        async with self.transactions() as transaction:
            users, actor = await load_users(transaction, actor, [user.id])
            if not actor.owns(user.id):
                actor.require(Permission.MANAGE_USERS)
            account = users.get(user.id)
            if account is None:
                raise NotFound
            if seen is not None and account.password_version != seen:
                raise InvalidCredentials
            now = self.clock()
            account.set_password(hashed, now)
            transaction.users.save(account)
            transaction.sessions.end_all(user.id, End.PASSWORD_CHANGED, now, but=actor.session_id)
            detail = {"by": str(actor.id) if actor.id else "operator"}
            event = SecurityEvent(self.ids(now), EventType.PASSWORD_CHANGED, now, user.id, detail)
            keep_event(transaction, event, self.ids, actor.request_id)
            await transaction.commit()


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """Change one's own password; all other sessions end."""

    users: UserReads
    attempts: LoginAttempts
    set_password: SetPassword

    async def __call__(self, command: PasswordChange, actor: Actor) -> None:
        """Change it.

        Raises:
            InvalidCredentials: The present password is wrong, or was changed meanwhile.
            TooManyAttempts: Too many tries were wrong: a stolen session must not be able to guess it.
            InvalidInput: The new one breaks a rule.
            Overloaded: Too many wait for a password hash.
        """
        user = None if actor.id is None else await self.users.user(actor.id)
        found = None if user is None else await self.users.credentials(user.email, Origin())
        if found is None:
            raise Unauthenticated
        # Before any hash: a refused password must not cost one.
        self.set_password.check(found.user, command.new, field="new_password")
        subject = f"password of {found.user.id}"
        attempt = await self.attempts.begin(subject)
        if attempt.wait:
            raise TooManyAttempts(attempt.wait.total_seconds())
        current = normalized_password(command.current)
        try:
            matches = await self.set_password.passwords.verify(current, found.password_hash, signed_in=True)
        except Overloaded:
            await self.attempts.give_back(subject)
            raise
        if not matches:
            raise InvalidCredentials
        await self.attempts.succeeded(subject)
        seen = found.password_version
        await self.set_password(found.user, command.new, actor, seen=seen, field="new_password")


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """Set somebody's password without knowing the old one; all the sessions of the account end."""

    users: UserReads
    set_password: SetPassword

    async def __call__(self, command: PasswordReset, actor: Actor) -> None:
        """Set it.

        Raises:
            Forbidden: Without the permission to manage users.
            NotFound: There is no such account.
            InvalidInput: The new one breaks a rule.
            Overloaded: Too many wait for a password hash.
        """
        actor.require(Permission.MANAGE_USERS)
        user = await self.users.user(command.user_id)
        if user is None:
            raise NotFound
        await self.set_password(user, command.new, actor, seen=None, field="password")
