"""What the connections of one server share: how many there may be, and how much they may hold unread.

A connection that has to go is always one that the server waits for: it costs its client least, and a client
that keeps up is never the one. So a crowd of idle or slow connections does not keep others out.
"""

from __future__ import annotations

import asyncio
import heapq
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

PIPELINED_MAX: Final = 8
"""How many pipelined requests begin in one turn of the loop."""
_ASSUMED_BYTES: Final = 64 * 1024

log: Final = structlog.get_logger("taskflow_http")


class Connection(Protocol):
    """What is to be known of a connection."""

    @property
    def waits_for_client(self) -> bool:
        """Whether it goes on only if its client sends or reads something."""

    @property
    def waiting_since(self) -> float:
        """When its present request, or its wait for one, began; by the loop's clock."""

    @property
    def unread(self) -> int:
        """Bytes of responses that are in memory until its client reads them."""

    def abort(self, reason: str) -> None:
        """End it at once, whatever it has not sent."""

    def run_next(self) -> None:
        """Run the next of its requests, which waits already."""


class Bounds:
    """The bounds of one server.

    Args:
        connections_max: How many connections there may be.
        unread_max: How many bytes all responses together may hold that clients do not read.
    """

    def __init__(self, connections_max: int, unread_max: int) -> None:
        self._connections_max = connections_max
        self._unread_max = unread_max
        self._stalled: dict[Connection, tuple[float, int]] = {}
        self._ending: set[Connection] = set()
        self._line: dict[Connection, None] = {}
        self._turn: asyncio.Handle | None = None
        self._full = False

    def admit(self, connections: Iterable[Connection], number: int) -> bool:
        """Return whether one more may stay, having ended others for it where there are too many.

        Args:
            connections: Those that are open beside it.
            number: How many are open with it.
        """
        full = number - len(self._ending) > self._connections_max
        if full and not self._full:
            log.warning("too many connections", limit=self._connections_max)
        # It is over when a tenth is free again, so that a level that wavers is not logged each time.
        self._full = full or (self._full and number > self._connections_max * 0.9)
        return not full or self.end_longest_waits(connections)

    def end_longest_waits(self, connections: Iterable[Connection]) -> bool:
        """End the connections that have waited for their clients the longest; return whether there are any.

        It is one of every 64 at a time: to look at a thousand takes a millisecond, and with each new
        connection that would be the most of what it costs.
        """
        waiting = [each for each in connections if each.waits_for_client]
        number = max(1, self._connections_max // 64)
        longest = heapq.nsmallest(number, waiting, key=lambda each: each.waiting_since)
        for each in longest:
            self._ending.add(each)
            each.abort("too many connections")
        return bool(longest)

    def line_up(self, connection: Connection) -> None:
        """Run the next request of a client that sent it before it had its last answer.

        `PIPELINED_MAX` of these begin in each turn of the loop, so that a thousand connections with
        a thousand requests each keep nobody waiting who asks for one thing at a time.
        """
        self._line[connection] = None
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._line.pop(connection, None)
        self._ending.discard(connection)
        self.proceed(connection)

    def _take_turn(self) -> None:
        self._turn = None
        for connection in list(islice(self._line, PIPELINED_MAX)):
            del self._line[connection]
            connection.run_next()
        if self._line and self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)

    def stall(self, connection: Connection, now: float) -> None:
        """Count what a client does not read; if that is too much, end the slowest connections."""
        self._stalled[connection] = now, connection.unread
        total = sum(each.unread for each in self._stalled)
        while total > self._unread_max:
            slowest = min(self._stalled, key=lambda each: self._speed(each, now))
            total -= slowest.unread
            self.proceed(slowest)
            slowest.abort("too much unread")

    def proceed(self, connection: Connection) -> None:
        """Count it no more: its client reads again, or it has ended."""
        self._stalled.pop(connection, None)

    def _speed(self, connection: Connection, now: float) -> float:
        since, unread = self._stalled[connection]
        # One that has only begun counts as one that read this much in its first second.
        return (unread - connection.unread + _ASSUMED_BYTES) / (now - since + 1.0)
