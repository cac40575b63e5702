"""Authenticate: who asks, by an access token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.errors import Unauthenticated
from taskflow_core.permissions import Actor

if TYPE_CHECKING:
    from taskflow_core.ports.persistence import Identities
    from taskflow_core.ports.security import AccessTokens
    from taskflow_core.ports.time import Clock


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Believe a token's signature, and ask the truth for everything else."""

    tokens: AccessTokens
    identities: Identities
    clock: Clock

    async def __call__(self, token: str, request_id: str | None = None) -> Actor:
        """Return who asks, with the role that it has at this moment.

        Raises:
            Unauthenticated: The token is not to be believed, or its session is over.
        """
        claims = self.tokens.check(token, self.clock())
        identity = await self.identities(claims)
        if identity is None:
            raise Unauthenticated
        return Actor.of(identity.user_id, identity.role, request_id, identity.session_id)
