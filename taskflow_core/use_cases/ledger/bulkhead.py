"""Keeps jobs that wait for the same thing from taking every place there is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from taskflow_core.ledger import LedgerEntry

Claim: TypeAlias = Callable[[Collection[str]], Awaitable["LedgerEntry | None"]]
"""Claims a job of one of these kinds."""


@dataclass(slots=True)
class Bulkhead:
    """Bounds how many jobs of some kinds run at a time (M. Nygard, "Release It!", 2018, chapter 4).

    Attributes:
        kinds: Those that share what may be slow: notices share the mail server.
    """

    kinds: Collection[str] = frozenset()
    _taken: int = 0
    _turned_away: int = 0

    @asynccontextmanager
    async def claimed(
        self, claim: Claim, kinds: Collection[str], size: int | None
    ) -> AsyncIterator[LedgerEntry | None]:
        """Claim a job for as long as the block lasts; None where none is due that may run now.

        Args:
            claim: Claims one.
            kinds: Of these.
            size: How many of `self.kinds` may run, with the claims that may still bring one; None for any
                number.
        """
        if size is not None and self._taken >= size:
            self._turned_away += 1
            yield await claim([kind for kind in kinds if kind not in self.kinds])
            return
        self._taken += 1
        holds = True
        try:
            job = await self._claim(claim, kinds)
            if job is None or job.kind not in self.kinds:
                self._taken -= 1
                holds = False
            yield job
        finally:
            self._taken -= holds

    async def _claim(self, claim: Claim, kinds: Collection[str]) -> LedgerEntry | None:
        while True:
            turned_away = self._turned_away
            job = await claim(kinds)
            # Who was turned away meanwhile may have come for one that this claim was too early to see.
            if job is not None or turned_away == self._turned_away:
                return job
