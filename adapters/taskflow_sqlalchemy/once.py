"""Idempotency keys of units of work."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final

from psycopg import errors as pg

from taskflow_core.errors import Contention, KeyReused, RequestInProgress
from taskflow_core.idempotency import KEPT_FOR, WAIT_FOR, Replayed
from taskflow_sqlalchemy.ledger_statements import (
    KEEP_ANSWER,
    READ_KEY,
    TAKE_KEY,
    WAIT_FOR_KEY,
    WAIT_NO_LONGER,
)

if TYPE_CHECKING:
    from taskflow_core.idempotency import Once
    from taskflow_sqlalchemy.statements import Statement
    from taskflow_sqlalchemy.task_repository import Unit

KEY_TIMEOUT: Final = WAIT_FOR.total_seconds() + 2.0
"""Seconds for the statement that takes a key; the lock's deadline comes first, whatever others' is."""
_BEFORE: Final[Statement] = (
    WAIT_FOR_KEY,
    {
        "lock": f"{round(WAIT_FOR.total_seconds() * 1000)}ms",
        "statement": f"{round(KEY_TIMEOUT * 1000)}ms",
    },
)
_AFTER: Final[Statement] = (WAIT_NO_LONGER, {})


class Key:
    """The key of one unit of work, if it has one."""

    def __init__(self, unit: Unit, once: Once | None) -> None:
        self._unit = unit
        self._once = once
        self._answer: bytes | None = None

    async def take(self) -> None:
        """Make the key this unit's, or find out what was answered; first of all in the unit.

        Raises:
            KeyReused: It was another request's.
            RequestInProgress: Another unit has it for too long.
        """
        if self._once is None:
            return
        parameters = self._parameters(self._once)
        take = (TAKE_KEY, {**parameters, "fingerprint": self._once.fingerprint, "kept": KEPT_FOR})
        try:
            answers = await self._unit.ask(_BEFORE, take, _AFTER, (READ_KEY, parameters))
        except Contention as error:
            if isinstance(error.__cause__, pg.LockNotAvailable):
                raise RequestInProgress from error
            raise
        ((fingerprint, answer),) = answers[-1]
        if not hmac.compare_digest(fingerprint, self._once.fingerprint):
            raise KeyReused
        self._answer = answer

    def replay(self) -> None:
        """Raise `Replayed` where there is an answer."""
        if self._answer is not None:
            raise Replayed(self._answer)

    def kept(self, result: object) -> list[Statement]:
        """Return the statement that keeps the answer, if there is a key."""
        if self._once is None:
            return []
        answer = self._once.render(result)
        return [(KEEP_ANSWER, {**self._parameters(self._once), "answer": answer})]

    @staticmethod
    def _parameters(once: Once) -> dict[str, Any]:
        return {"owner": once.owner, "key": once.key}
