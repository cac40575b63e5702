"""Servers that fall silent: packets are dropped, or something on the way keeps the connection open.

PostgreSQL's own deadlines are of no use then, since nobody hears of them. So who waits for an answer gives up
some time after the last of them, and closes the connection: nothing more is to be said on it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg
from psycopg import errors as pg
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.waiting import wait_async

from taskflow_sqlalchemy.ledger_statements import TAKE_KEY, WAIT_FOR_KEY, WAIT_NO_LONGER
from taskflow_sqlalchemy.once import KEY_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGconn

    from taskflow_sqlalchemy.exchanges import Driver
    from taskflow_sqlalchemy.statements import Statement

MARGIN: Final = 2.0
"""Seconds that an answer may be on its way, after the last that PostgreSQL takes for it."""
CANCEL_WITHIN: Final = 1.0
"""Seconds in which a server that is told to stop does so; who is cancelled does not wait for longer."""
_INTERVAL: Final = 0.1
"""Seconds, as the driver has it."""
_SECONDS: Final[Mapping[str, float]] = {
    **dict.fromkeys(("BEGIN", "ROLLBACK", WAIT_FOR_KEY, WAIT_NO_LONGER), 0.0),
    TAKE_KEY: KEY_TIMEOUT,
}
"""What takes no time, and what sets a deadline of its own."""

_R = TypeVar("_R")


class Silent(psycopg.OperationalError):
    """The server did not answer in time, and the connection is closed; what became of it is not known."""


class Listener:
    """Waits for the answers of one connection, but not for ever.

    Attributes:
        heard_at: When it last answered, by `time.monotonic`.
        silent: Whether it did not, and so was closed.
    """

    __slots__ = ("_driver", "_timeout", "heard_at", "silent")

    def __init__(self, driver: Driver, statement_timeout: float | None) -> None:
        self._driver = driver
        self._timeout = statement_timeout
        self.heard_at = time.monotonic()
        self.silent = False

    async def __call__(self, answers: PQGen[_R], statements: Sequence[Statement]) -> _R:
        """Return what the driver's generator does.

        Raises:
            Silent: It took longer than PostgreSQL may take for the statements, and `MARGIN`.
            psycopg.Error: As the generator does.
        """
        began = time.monotonic()
        end = (
            None
            if self._timeout is None
            else asyncio.get_running_loop().call_later(_limit(statements, self._timeout), self._give_up)
        )
        try:
            return await wait_async(answers, self._driver.pgconn.socket, interval=_INTERVAL)
        except asyncio.CancelledError:
            await self._cancel(answers, began)
            raise
        except psycopg.OperationalError as error:
            if self.silent:
                raise Silent("the server did not answer in time") from error
            raise
        finally:
            self.heard_at = time.monotonic()
            if end is not None:
                end.cancel()

    def _give_up(self) -> None:
        self.silent = True
        _shut(self._driver.pgconn)

    async def _cancel(self, answers: PQGen[_R], began: float) -> None:
        """Have the server stop, which leaves the connection fit for use, or close it.

        The driver does the same, but waits for a silent server for ten seconds.
        """
        pgconn = self._driver.pgconn
        if pgconn.transaction_status != TransactionStatus.ACTIVE:
            return
        end = asyncio.get_running_loop().call_later(CANCEL_WITHIN, _shut, pgconn)
        try:
            await self._driver.cancel_safe(timeout=CANCEL_WITHIN)
            await wait_async(answers, pgconn.socket, interval=_INTERVAL)
        except pg.QueryCanceled:
            pass
        except BaseException as error:
            pgconn.finish()
            # One that is busy may take its time; after a statement's deadline it has no excuse.
            self.silent = self._timeout is not None and time.monotonic() - began > self._timeout
            if not isinstance(error, Exception):
                raise
        finally:
            end.cancel()


def _limit(statements: Sequence[Statement], statement_timeout: float) -> float:
    """Return how many seconds the answers may take: PostgreSQL times each statement by itself."""
    return sum(_SECONDS.get(sql, statement_timeout) for sql, _ in statements) + MARGIN


def _shut(pgconn: PGconn) -> None:
    """Close a connection such that who waits on it is told at once, as if the server had gone."""
    if pgconn.status != ConnStatus.OK:
        return
    with socket.socket(fileno=os.dup(pgconn.socket)) as wire, suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
