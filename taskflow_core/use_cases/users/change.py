"""Change an account: one's own profile, or anybody's with its role and activity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from taskflow_core.errors import LastAdmin, NotFound
from taskflow_core.permissions import Actor, require_change_user
from taskflow_core.security_events import EventType, SecurityEvent
from taskflow_core.sessions import End
from taskflow_core.use_cases.actors import load_users
from taskflow_core.use_cases.events import keep_event
from taskflow_core.users import UserChanges, UserView

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.fields import ExpectedVersion
    from taskflow_core.ports.persistence import Transaction, Transactions
    from taskflow_core.ports.time import Clock, Ids
    from taskflow_core.users import User

OWN_FIELDS: Final = frozenset({"name", "notifications"})
"""What everybody may change of oneself. An email is a log-in: changing it takes the permission
to manage users, until it can be confirmed by mail."""
_GUARDED: Final = frozenset({"role", "active"})


@dataclass(frozen=True, slots=True)
class UserChange:
    """Which account is to change into what.

    Attributes:
        version: The version that it must have, or several of which it must have one; None for any.
    """

    user_id: UUID
    changes: UserChanges
    version: ExpectedVersion = None


@dataclass(frozen=True, slots=True)
class ChangeUser:
    """Change one account."""

    transactions: Transactions
    clock: Clock
    ids: Ids

    async def __call__(self, command: UserChange, actor: Actor) -> UserView:
        """Return the account as it is now; one that nothing changed keeps its version.

        Raises:
            Unauthenticated: The actor's session ended meanwhile.
            NotFound: It is not there, or not to be seen.
            Forbidden: It is another's, or a field that only who manages users may change.
            InvalidInput: A field breaks its rule.
            EmailTaken: Another live account has the email.
            LastAdmin: No active admin would be left.
            VersionMismatch: It has another version.
        """
        given = command.changes.given()
        own_profile_only = given.keys() <= OWN_FIELDS
        require_change_user(actor, command.user_id, own_profile_only=own_profile_only)
        async with self.transactions() as transaction:
            guarded = bool(_GUARDED & given.keys())
            users, actor = await load_users(transaction, actor, [command.user_id], and_admins=guarded)
            require_change_user(actor, command.user_id, own_profile_only=own_profile_only)
            user = users.get(command.user_id)
            if user is None:
                raise NotFound
            user.require_version(command.version)
            before = UserView.of(user)
            administered, now = user.administers, self.clock()
            if user.change(command.changes, now):
                if administered and not any(each.administers for each in users.values()):
                    raise LastAdmin
                transaction.users.save(user)
                self._tell(transaction, before, user, actor, now)
                await transaction.commit()
        return UserView.of(user)

    def _tell(
        self, transaction: Transaction, before: UserView, user: User, actor: Actor, now: datetime
    ) -> None:
        """Write the events of a change, and end the sessions of somebody who may not sign in any more."""
        by = str(actor.id) if actor.id else "operator"
        if user.email != before.email:
            event = SecurityEvent(self.ids(now), EventType.EMAIL_CHANGED, now, user.id, {"by": by})
            keep_event(transaction, event, self.ids, actor.request_id, former_email=before.email)
        if user.role is not before.role:
            detail = {"from": before.role, "to": user.role, "by": by}
            event = SecurityEvent(self.ids(now), EventType.ROLE_CHANGED, now, user.id, detail)
            keep_event(transaction, event, self.ids, actor.request_id)
        if user.active != before.active:
            detail = {"active": str(user.active).lower(), "by": by}
            event = SecurityEvent(self.ids(now), EventType.ACTIVITY_CHANGED, now, user.id, detail)
            keep_event(transaction, event, self.ids, actor.request_id)
        if before.active and not user.active:
            transaction.sessions.end_all(user.id, End.DEACTIVATED, now)
