"""What opening and refreshing a session have in common: the pair of tokens that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskflow_core.ports.security import TokenClaims

if TYPE_CHECKING:
    from datetime import datetime

    from taskflow_core.ports.security import AccessToken, AccessTokens, RefreshTokens
    from taskflow_core.sessions import Session
    from taskflow_core.users import UserView


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, and the tokens that show it."""

    user: UserView
    access_token: AccessToken
    refresh_token: str


@dataclass(frozen=True, slots=True)
class TokenPairs:
    """Makes the pair of tokens of a session."""

    access: AccessTokens
    refresh: RefreshTokens

    def of(self, session: Session, user: UserView, now: datetime) -> SignedIn:
        """Return the user with a new access token and the session's current refresh token."""
        access = self.access.issue(TokenClaims(user.id, session.id), now)
        return SignedIn(user, access, self.refresh.of(session))
