"""Tries to log in, counted in PostgreSQL, where wiping Redis does not forget them."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from taskflow_core.throttle import FORGOTTEN_AFTER, LONGEST_DELAY, Attempt, delay_after
from taskflow_sqlalchemy.connections import Connections, JoinedConnections, PooledConnections
from taskflow_sqlalchemy.statements import BEGIN_ATTEMPT, FORGET_ATTEMPTS, GIVE_BACK_ATTEMPT, WAIT_OF_ATTEMPT

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


def _delays() -> list[timedelta]:
    """Return the delay after each number of tries, up to the first that is the longest."""
    delays = [delay_after(1)]
    while delays[-1] < LONGEST_DELAY:
        delays.append(delay_after(len(delays) + 1))
    return delays


_DELAYS: Final = _delays()


class SqlAlchemyLoginAttempts:
    """Counts tries (port `LoginAttempts`).

    Args:
        source: Where.
        key: A secret that all instances share; subjects are kept as keyed hashes.
    """

    def __init__(self, source: AsyncEngine | Connections, key: bytes) -> None:
        self._connections: Connections = (
            PooledConnections(source) if isinstance(source, AsyncEngine) else source
        )
        self._key = key

    @classmethod
    def joined(cls, connection: AsyncConnection, key: bytes) -> SqlAlchemyLoginAttempts:
        """Return what counts inside the transaction that the host has open on `connection`.

        A try is counted where the host commits, that of a log-in that was refused too.
        """
        return cls(JoinedConnections(connection), key)

    async def begin(self, subject: str) -> Attempt:
        """Count a try, unless it has to wait."""
        parameters = {
            "subject": self._hashed(subject), "delays": _DELAYS, "forgotten": FORGOTTEN_AFTER,
        }  # fmt: skip
        async with self._connections() as exchange:
            (counted,) = await exchange((BEGIN_ATTEMPT, parameters))
            if counted.rows:
                return Attempt(counted.rows[0][0], timedelta())
            (waiting,) = await exchange((WAIT_OF_ATTEMPT, parameters))
        number, wait = waiting.rows[0] if waiting.rows else (1, timedelta())
        # Less than a moment is left, or the count was forgotten between the two: a moment it is.
        return Attempt(number, max(wait, timedelta(milliseconds=1)))

    async def succeeded(self, subject: str) -> None:
        """Forget the tries of a subject."""
        async with self._connections() as exchange:
            await exchange((FORGET_ATTEMPTS, {"subject": self._hashed(subject)}))

    async def give_back(self, subject: str) -> None:
        """Take one try off the count."""
        async with self._connections() as exchange:
            await exchange((GIVE_BACK_ATTEMPT, {"subject": self._hashed(subject)}))

    def _hashed(self, subject: str) -> str:
        return hmac.new(self._key, subject.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
