"""Who acts, as the rows of user and session say inside the transaction that uses the actor's rights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskflow_core.errors import Unauthenticated
from taskflow_core.permissions import PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.permissions import Actor
    from taskflow_core.ports.persistence import Transaction
    from taskflow_core.sessions import Session
    from taskflow_core.users import User


async def load_users(
    transaction: Transaction, actor: Actor, ids: Collection[UUID] = (), *, and_admins: bool = False
) -> tuple[Mapping[UUID, User], Actor]:
    """Return users by id, and the actor with the permissions that its role has now, all locked in id order.

    What the actor may do must be checked again with the actor that is returned. One without a session stays
    as it is: the operator has no row, and for others the code that made the `Actor` is responsible.

    Raises:
        Unauthenticated: The session has ended, or its user may not sign in any more.
    """
    own = {} if actor.id is None or actor.session_id is None else {actor.id: actor.session_id}
    users = await transaction.users.load_many({*ids, *own}, and_admins=and_admins) if ids or own else {}
    if not own:
        return users, actor
    sessions, now = await transaction.sessions.load_many(own.values())
    return users, current_actor(actor, users, sessions, now)


def current_actor(
    actor: Actor, users: Mapping[UUID, User], sessions: Mapping[UUID, Session], now: datetime
) -> Actor:
    """Return an actor that has a session with the permissions of its role among these locked rows.

    Raises:
        Unauthenticated: The session has ended, or its user may not sign in any more.
    """
    user = None if actor.id is None else users.get(actor.id)
    session = None if actor.session_id is None else sessions.get(actor.session_id)
    if user is None or not user.active or session is None or not session.is_live(now):
        raise Unauthenticated
    return replace(actor, permissions=PERMISSIONS[user.role])
