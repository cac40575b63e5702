"""What the peers do: two public NestJS implementations of the same API, called P and H.

Measured on a two-core machine with 10,000 users, 200,000 tasks and 32 connections; the load generator, the
databases and one Node process each shared its cores. Best round of three or four.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Peer(NamedTuple):
    """Requests a second of both, and how many times the better one we are to do."""

    p: int
    h: int
    target: float | None

    @property
    def better(self) -> int:
        return max(self.p, self.h)


PEERS: Final = {
    # H with the index that it lacks; as it is: 54.
    "list": Peer(1027, 1154, 2.0),
    "read one": Peer(1232, 1280, 2.0),
    # H's numbers are up to five minutes old.
    "stats": Peer(1602, 2024, 2.0),
    "create": Peer(885, 1094, 1.5),
    "change": Peer(574, 681, 2.0),
    # P answers when its 20 changes are queued. H (1,029/s) too, but of 310,000 it accepted it applied 975,
    # so it is no measure.
    "batch of 20": Peer(473, 0, 2.0),
    "log in": Peer(22, 44, None),
}
