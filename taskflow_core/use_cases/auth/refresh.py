"""Refresh: a new pair of tokens for a refresh token."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from taskflow_core.errors import RefreshReused, Unauthenticated
from taskflow_core.security_events import EventType, SecurityEvent
from taskflow_core.sessions import GRACE, Refreshed, Session
from taskflow_core.use_cases.events import keep_event

if TYPE_CHECKING:
    from datetime import datetime

    from taskflow_core.ports.persistence import Transaction, Transactions, UserReads
    from taskflow_core.ports.time import Clock, Ids
    from taskflow_core.use_cases.auth.signing_in import SignedIn, TokenPairs


@dataclass(frozen=True, slots=True)
class RefreshSession:
    """Rotate a session's refresh token.

    Attributes:
        grace: How long a replaced token still gets the current one; zero turns that off.
    """

    transactions: Transactions
    users: UserReads
    tokens: TokenPairs
    clock: Clock
    ids: Ids
    grace: timedelta = field(default=GRACE)

    async def __call__(self, token: str, request_id: str | None = None) -> SignedIn:
        """Return the user and the session's tokens.

        Args:
            token: The refresh token.
            request_id: Of the request that it came by, if any.

        Raises:
            Unauthenticated: The token is none of ours, or its session is over. A forged one ends nothing.
            RefreshReused: It was replaced longer ago than the grace: its session has ended.
        """
        claim = self.tokens.refresh.read(token)
        async with self.transactions() as transaction:
            found = await transaction.sessions.load(claim.session_id)
            if found is None or not self.tokens.refresh.is_genuine(claim, found[0].seed):
                raise Unauthenticated
            session, now = found
            outcome = session.refresh(claim.generation, now, self.grace)
            if outcome is Refreshed.REFUSED:
                raise Unauthenticated
            if outcome is Refreshed.REUSED:
                self._tell(transaction, session, now, request_id)
            if outcome is not Refreshed.REPEATED:
                transaction.sessions.save(session)
                await transaction.commit()
        if outcome is Refreshed.REUSED:
            raise RefreshReused
        user = await self.users.user(session.user_id)
        if user is None or not user.active:
            raise Unauthenticated
        # By the clock that tokens are checked by, not by the store's.
        return self.tokens.of(session, user, self.clock())

    def _tell(
        self, transaction: Transaction, session: Session, now: datetime, request_id: str | None
    ) -> None:
        detail = {"sessionId": str(session.id)}
        event = SecurityEvent(self.ids(now), EventType.REFRESH_REUSED, now, session.user_id, detail)
        keep_event(transaction, event, self.ids, request_id)
