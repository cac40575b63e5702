"""Questions about users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.errors import NotFound
from taskflow_core.permissions import Actor, Permission, require_see_user
from taskflow_core.queries import Page, UserQuery, check_query

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_core.ports.persistence import UserReads
    from taskflow_core.ports.time import Clock
    from taskflow_core.users import UserView


@dataclass(frozen=True, slots=True)
class FindUser:
    """Read one account."""

    reads: UserReads

    async def __call__(self, user_id: UUID, actor: Actor) -> UserView:
        """Return the account.

        Raises:
            NotFound: It is not there, or not to be seen.
        """
        require_see_user(actor, user_id)
        user = await self.reads.user(user_id)
        if user is None:
            raise NotFound
        return user


@dataclass(frozen=True, slots=True)
class ListUsers:
    """List accounts, a page at a time."""

    reads: UserReads
    clock: Clock

    async def __call__(self, query: UserQuery, actor: Actor) -> Page[UserView]:
        """Return a page.

        Raises:
            Forbidden: Without the permission to see users.
            InvalidInput: The limit or the search breaks its rule.
        """
        actor.require(Permission.SEE_USERS)
        check_query(query)
        return await self.reads.users(query, self.clock())
