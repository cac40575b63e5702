"""Read security events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.fields import check_fields
from taskflow_core.permissions import Actor, Permission
from taskflow_core.queries import check_limit

if TYPE_CHECKING:
    from taskflow_core.ports.persistence import SessionReads
    from taskflow_core.ports.time import Clock
    from taskflow_core.queries import Page
    from taskflow_core.security_events import EventQuery, SecurityEvent


@dataclass(frozen=True, slots=True)
class ReadEvents:
    """List what happened to accounts, newest first: one's own, or anybody's by permission."""

    reads: SessionReads
    clock: Clock

    async def __call__(self, query: EventQuery, actor: Actor) -> Page[SecurityEvent]:
        """Return a page.

        Raises:
            Forbidden: Another's or everyone's, without the permission.
            InvalidInput: The limit breaks its rule.
        """
        if query.owner is None or not actor.owns(query.owner):
            actor.require(Permission.SEE_ANY_EVENT)
        check_fields({"limit": check_limit}, {"limit": query.limit})
        return await self.reads.events(query, self.clock())
