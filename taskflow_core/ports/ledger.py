"""Background work: its place in a unit of work, claims, questions, scans.

Failures are those of `taskflow_core.ports.persistence`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from taskflow_core.ledger import JobKind, JobQuery, JobStats, JobView, LedgerEntry
    from taskflow_core.queries import Page


class LedgerRepository(Protocol):
    """The background work of one unit of work. All times are the store's, whatever clock made an entry."""

    def add(self, entry: LedgerEntry) -> None:
        """Keep new work; written by `commit`.

        It is due as long after the store's time as `run_at` is after `created_at`. What is due at once is
        hinted to the queue once the unit is committed.
        """
        ...

    async def load(self, entry_id: UUID) -> tuple[LedgerEntry, datetime] | None:
        """Return the entry, locked until the end of the unit, and the store's time."""
        ...

    async def load_expired(self, *, limit: int) -> tuple[Sequence[LedgerEntry], datetime]:
        """Return running entries whose lease is out, locked, and the store's time; not those others hold.

        Without their payloads, which may be large; saving such an entry keeps its payload.
        """
        ...

    async def load_dead(
        self, kind: str, *, as_of: datetime | None, limit: int
    ) -> tuple[Sequence[LedgerEntry], datetime]:
        """Return dead entries of a kind, locked, and the store's time; not those others hold.

        Those that have been dead for longest, without their payloads as in `load_expired`.

        Args:
            kind: Which.
            as_of: Only of those that had died by this time; None for all.
            limit: How many at most.
        """
        ...

    async def due(self, *, limit: int) -> Sequence[UUID]:
        """Return the ids of the entries that are due longest."""
        ...

    async def unfinished(self, kinds: Collection[str]) -> frozenset[str]:
        """Return which of these kinds have entries that are pending or running."""
        ...

    def finish(self, entry: LedgerEntry) -> None:
        """Have `commit` note that a claimed entry is done, or raise `LeaseLost` and keep nothing.

        That is so where another claim, or the end of the lease, came in between; from then on until
        the end of the unit nobody else can claim it.
        """
        ...

    def renew(self, entry: LedgerEntry, lease: timedelta) -> None:
        """Have `commit` make a claim last `lease` from now on, or raise `LeaseLost` and keep nothing."""
        ...

    def save(self, entry: LedgerEntry) -> None:
        """Keep a loaded entry as it is now; written by `commit`. One that is due now is hinted after that."""
        ...

    def remove(self, entry: LedgerEntry) -> None:
        """Remove a loaded entry; done by `commit`."""
        ...

    def hint(self, ids: Sequence[UUID]) -> None:
        """Hint entries that are due to the queue, once the unit is committed."""
        ...


class Scans(Protocol):
    """What the scheduler does again and again, one at a time over all schedulers."""

    async def take(self, name: str) -> bool:
        """Return whether a scan is due by the store's time, and nobody else is at it until this unit ends."""
        ...

    def put_off(self, name: str, delay: timedelta) -> None:
        """Have `commit` make the scan due again in so long."""
        ...


class Upkeep(Protocol):
    """Removes, for good, what nobody needs any more, in steps that wait for nobody."""

    async def remove(self, what: JobKind, *, limit: int) -> int:
        """Remove up to `limit` rows of what a clean-up job is for; return how many went.

        - CLEAN_SESSIONS: sessions that can be used no more and began over 180 days ago
        - CLEAN_KEYS: idempotency keys whose answer was kept for `idempotency.KEPT_FOR`
        - CLEAN_LEDGER: work that was done over 7 days ago, and notices about tasks that are dead for
          `ledger.DEAD_KEPT`; what else is dead stays
        - CLEAN_TASKS: tasks deleted over 31 days ago, a day longer than they can be restored
        - CLEAN_USERS: accounts marked as deleted, after their tasks and the jobs that hold an email of theirs
        - CLEAN_ATTEMPTS: tries to log in that are forgotten anyway

        Raises:
            ValueError: It is the kind of no clean-up.
        """
        ...


class Samples(Protocol):
    """The demonstration's effect: refunds that stand for whatever a job does in the database."""

    def refund(self, job_id: UUID) -> None:
        """Have `commit` note a refund; one that is noted twice counts twice."""
        ...


class Claims(Protocol):
    """Gives workers something to do."""

    async def __call__(
        self, hint: UUID | None, *, kinds: Collection[str], lease: timedelta
    ) -> LedgerEntry | None:
        """Claim the entry that is hinted at, where it is due, else the one that is due longest.

        By `LedgerEntry.claim`, in a transaction of its own, past entries that others hold. Only of
        `kinds`: what this worker cannot do waits for one that can.

        Returns:
            The entry as claimed; None where none is due.
        """
        ...


class LedgerReads(Protocol):
    """Questions about background work."""

    async def job(self, job_id: UUID) -> JobView | None:
        """Return the work."""
        ...

    async def jobs(self, query: JobQuery, now: datetime) -> Page[JobView]:
        """Return a page."""
        ...

    async def stats(self) -> JobStats:
        """Count what is not done, by kind, as of the store's time."""
        ...

    async def refunds(self, job_id: UUID) -> int:
        """Return how many refunds `Samples` has of a job."""
        ...
