"""Look at sessions, and end them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.errors import NotFound, Unauthenticated
from taskflow_core.permissions import Actor, Permission, require_see_user
from taskflow_core.sessions import End
from taskflow_core.use_cases.actors import current_actor, load_users

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_core.ports.persistence import SessionReads, Transactions
    from taskflow_core.ports.time import Clock
    from taskflow_core.sessions import SessionView


def own_id(actor: Actor) -> UUID:
    """Return the actor's id; raise `Unauthenticated` where it is the operator, who has no sessions."""
    if actor.id is None:
        raise Unauthenticated
    return actor.id


@dataclass(frozen=True, slots=True)
class ListSessions:
    """List live sessions: one's own, or anybody's where one manages users."""

    reads: SessionReads

    async def __call__(self, user_id: UUID, actor: Actor) -> tuple[SessionView, ...]:
        """Return them, the last used first.

        Raises:
            NotFound: Another's, which one may not see.
            Forbidden: Another's, without the permission to manage users.
        """
        require_see_user(actor, user_id)
        if not actor.owns(user_id):
            actor.require(Permission.MANAGE_USERS)
        return await self.reads.sessions(user_id)


@dataclass(frozen=True, slots=True)
class EndSession:
    """End one session: log out, or end another of one's own; anybody's where one manages users."""

    transactions: Transactions

    async def __call__(self, session_id: UUID, actor: Actor) -> None:
        """End it; from the acknowledgement on its tokens are refused everywhere.

        Raises:
            Unauthenticated: The session that asks ended meanwhile.
            NotFound: It is not there, ended before, or is another's.
        """
        ids = {session_id, actor.session_id or session_id}
        async with self.transactions() as transaction:
            # Who ends another session than the one that asks must still be allowed to; users before sessions.
            owners = [actor.id] if actor.id is not None and len(ids) > 1 else []
            users = await transaction.users.load_many(owners) if owners else {}
            of_owner = None if actor.may(Permission.MANAGE_USERS) else actor.id
            sessions, now = await transaction.sessions.load_many(ids, of_owner=of_owner)
            if owners:
                actor = current_actor(actor, users, sessions, now)
            session = sessions.get(session_id)
            if session is None:
                raise NotFound
            own = actor.owns(session.user_id)
            if not (own or actor.may(Permission.MANAGE_USERS)):
                raise NotFound
            if not session.finish(_reason(session_id, actor, own=own), now):
                raise NotFound
            transaction.sessions.save(session)
            await transaction.commit()


def _reason(session_id: UUID, actor: Actor, *, own: bool) -> End:
    if session_id == actor.session_id:
        return End.LOGGED_OUT
    return End.ENDED_BY_USER if own else End.ENDED_BY_OPERATOR


@dataclass(frozen=True, slots=True)
class EndSessions:
    """End all sessions of a user, the present one too: one's own, or anybody's where one manages users."""

    transactions: Transactions
    clock: Clock

    async def __call__(self, user_id: UUID, actor: Actor) -> None:
        """End them.

        Raises:
            NotFound: Another's, which one may not see.
            Forbidden: Another's, without the permission to manage users.
        """
        require_see_user(actor, user_id)
        own = actor.owns(user_id)
        if not own:
            actor.require(Permission.MANAGE_USERS)
        end = End.ENDED_BY_USER if own else End.ENDED_BY_OPERATOR
        async with self.transactions() as transaction:
            if not own:
                _, actor = await load_users(transaction, actor, [user_id])
                actor.require(Permission.MANAGE_USERS)
            transaction.sessions.end_all(user_id, end, self.clock())
            await transaction.commit()
