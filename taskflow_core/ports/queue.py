"""Tells workers that there is something to do. Everything is in the ledger: this only saves them waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID


class Queue(Protocol):
    """Carries hints."""

    def hint(self, ids: Sequence[UUID]) -> None:
        """Hint at ledger entries that are due, some time soon; never waits and never fails.

        A hint may be lost, come late, twice, or for something that is done: whoever gets one looks in
        the ledger. Of many at once only some may be carried, since each worker that is woken goes on
        until nothing is due.
        """
        ...

    async def waiting(self) -> int:
        """Return how many hints wait for a worker, within a second or so: who asks has other work to do.

        Raises:
            Unavailable: The queue cannot be reached in time.
        """
        ...
