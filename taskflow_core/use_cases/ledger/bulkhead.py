"""Keeps jobs that wait for the same thing from taking every place there is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from taskflow_core.ledger import LedgerEntry

Claim: TypeAlias = Callable[[Collection[str]], Awaitable["LedgerEntry | None"]]
"""Claims a job of one of these kinds."""


@dataclass(slots=True, eq=False)
class _Places:
    """What some kinds have taken, with the claims that may still bring one of them."""

    kinds: Collection[str]
    spare: int
    taken: int = 0

    def are_taken(self, size: int | None) -> bool:
        return size is not None and self.taken >= max(size - self.spare, 1)


@dataclass(slots=True)
class Bulkhead:
    """Bounds how many jobs of some kinds run at a time (M. Nygard, "Release It!", 2018, chapter 4).

    Attributes:
        kinds: Those that share what may be slow: notices share the mail server.
        lesser: Those of them that leave one place to the others, where there are several: any number of
            these delays none of those.
    """

    kinds: Collection[str] = frozenset()
    lesser: Collection[str] = frozenset()
    _places: tuple[_Places, ...] = field(init=False)
    _turned_away: int = 0

    def __post_init__(self) -> None:
        """Take no place yet."""
        self._places = (_Places(self.kinds, 0), _Places(self.lesser, 1))

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
        held, shut = self._take(size)
        try:
            job = await self._claim(claim, [kind for kind in kinds if kind not in shut])
            held = self._keep(held, job)
            yield job
        finally:
            self._keep(held, None)

    def _take(self, size: int | None) -> tuple[list[_Places], Collection[str]]:
        """Take a place wherever one is free; return these, and the kinds that none is free for."""
        held: list[_Places] = []
        for places in self._places:
            if places.are_taken(size):
                self._turned_away += 1
                return held, places.kinds
            places.taken += 1
            held.append(places)
        return held, ()

    def _keep(self, held: list[_Places], job: LedgerEntry | None) -> list[_Places]:
        """Leave what the job does not need; return the rest."""
        kept = [places for places in held if job is not None and job.kind in places.kinds]
        for places in held:
            places.taken -= places not in kept
        return kept

    async def _claim(self, claim: Claim, kinds: Collection[str]) -> LedgerEntry | None:
        while True:
            turned_away = self._turned_away
            job = await claim(kinds)
            # Who was turned away meanwhile may have come for one that this claim was too early to see.
            if job is not None or turned_away == self._turned_away:
                return job
