"""Delete an account with all its tasks: mark it at once, purge it in small steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from taskflow_core.errors import LastAdmin, NotFound
from taskflow_core.ledger import JobKind, LedgerEntry
from taskflow_core.permissions import Actor, Permission, require_see_user
from taskflow_core.use_cases.actors import load_users

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_core.fields import ExpectedVersion
    from taskflow_core.ports.persistence import Transactions
    from taskflow_core.ports.time import Clock, Ids

PURGE_STEP: Final = 1_000
"""Rows of one step: short enough to stand in nobody's way."""


@dataclass(frozen=True, slots=True)
class UserDeletion:
    """Which account is to go.

    Attributes:
        version: The version that it must have, or several of which it must have one; None for any.
    """

    user_id: UUID
    version: ExpectedVersion = None


@dataclass(frozen=True, slots=True)
class DeleteUser:
    """Close an account for good. From the acknowledgement on nobody finds it, and its email is free.

    Its tasks and their history go after that, by a job.
    """

    transactions: Transactions
    clock: Clock
    ids: Ids

    async def __call__(self, command: UserDeletion, actor: Actor) -> None:
        """Mark the account as deleted.

        Raises:
            Unauthenticated: The actor's session ended meanwhile.
            NotFound: It is not there, or not to be seen.
            Forbidden: Without the permission to manage users, for one's own account too.
            LastAdmin: No active admin would be left.
            VersionMismatch: It has another version.
        """
        require_see_user(actor, command.user_id)
        actor.require(Permission.MANAGE_USERS)
        async with self.transactions() as transaction:
            users, actor = await load_users(transaction, actor, [command.user_id], and_admins=True)
            actor.require(Permission.MANAGE_USERS)
            user = users.get(command.user_id)
            if user is None:
                raise NotFound
            user.require_version(command.version)
            administered, now = user.administers, self.clock()
            user.mark_deleted(now)
            if administered and not any(each.administers for each in users.values()):
                raise LastAdmin
            transaction.users.save(user)
            job = LedgerEntry.create(
                id=self.ids(now), kind=JobKind.CLEAN_USERS, now=now, request_id=actor.request_id
            )
            transaction.ledger.add(job)
            await transaction.commit()


@dataclass(frozen=True, slots=True)
class PurgeUsers:
    """Remove what belongs to accounts that are marked as deleted, without waiting for the job that does.

    Any number may run at once, and one that is killed is carried on by the next.
    """

    transactions: Transactions

    async def __call__(self, actor: Actor) -> int:
        """Return how many rows went, in steps of a transaction each, until none is left that nobody holds.

        Raises:
            Forbidden: Without the permission to manage users.
        """
        actor.require(Permission.MANAGE_USERS)
        total = 0
        while True:
            async with self.transactions() as transaction:
                removed = await transaction.upkeep.remove(JobKind.CLEAN_USERS, limit=PURGE_STEP)
                await transaction.commit()
            total += removed
            if not removed:
                return total
