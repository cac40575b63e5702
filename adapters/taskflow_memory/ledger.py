"""Background work over the dictionaries: its place in a unit of work, claims, questions."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskflow_core import JobState, JobStats, JobView, KindStats, LeaseLost, Page, Position, ScanStats
from taskflow_memory.store import copied_job

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from taskflow_core import JobQuery, LedgerEntry
    from taskflow_memory.store import MemoryStore


@dataclass(slots=True)
class MemoryLedgerRepository:
    """The background work of one unit of work (port `LedgerRepository`)."""

    store: MemoryStore
    added: list[LedgerEntry] = field(default_factory=list)
    finished: list[LedgerEntry] = field(default_factory=list)
    renewed: list[tuple[LedgerEntry, timedelta]] = field(default_factory=list)
    saved: list[LedgerEntry] = field(default_factory=list)
    removed: list[UUID] = field(default_factory=list)
    hinted: list[UUID] = field(default_factory=list)

    def add(self, entry: LedgerEntry) -> None:
        """Keep a copy for `commit`."""
        self.added.append(copied_job(entry))

    async def load(self, entry_id: UUID) -> tuple[LedgerEntry, datetime] | None:
        """Return a copy and the store's time; the unit alone is the lock."""
        entry = self.store.ledger.get(entry_id)
        return None if entry is None else (copied_job(entry), self.store.clock())

    async def load_expired(self, *, limit: int) -> tuple[Sequence[LedgerEntry], datetime]:
        """Return copies of what has been running for too long, and the store's time."""
        now = self.store.clock()
        expired = [entry for entry in self.store.ledger.values() if entry.is_expired(now)]
        expired.sort(key=lambda entry: (entry.lease_until or now, entry.id))
        return [replace(entry, payload={}) for entry in expired[:limit]], now

    async def load_dead(
        self, kind: str, *, as_of: datetime | None, limit: int
    ) -> tuple[Sequence[LedgerEntry], datetime]:
        """Return copies of what has been dead for longest of a kind, and the store's time."""
        now = self.store.clock()
        entries = self.store.ledger.values()
        dead = [entry for entry in entries if entry.state is JobState.DEAD and entry.kind == kind]
        dead = [entry for entry in dead if as_of is None or (entry.finished_at or now) <= as_of]
        dead.sort(key=lambda entry: (entry.finished_at or now, entry.id))
        return [replace(entry, payload={}) for entry in dead[:limit]], now

    async def due(self, *, limit: int) -> Sequence[UUID]:
        """Return the ids of the entries that are due longest."""
        return [entry.id for entry in _due(self.store, self.store.clock())[:limit]]

    async def unfinished(self, kinds: Collection[str]) -> frozenset[str]:
        """Return which of these kinds have entries that are pending or running."""
        entries = self.store.ledger.values()
        open_kinds = {e.kind for e in entries if e.state in (JobState.PENDING, JobState.RUNNING)}
        return frozenset(open_kinds & set(kinds))

    def finish(self, entry: LedgerEntry) -> None:
        """Keep for `commit` that it is done, and by which claim."""
        self.finished.append(copied_job(entry))

    def renew(self, entry: LedgerEntry, lease: timedelta) -> None:
        """Keep for `commit` how long the claim is to last."""
        self.renewed.append((copied_job(entry), lease))

    def save(self, entry: LedgerEntry) -> None:
        """Keep a copy for `commit`."""
        self.saved.append(copied_job(entry))

    def remove(self, entry: LedgerEntry) -> None:
        """Keep for `commit` that it goes."""
        self.removed.append(entry.id)

    def hint(self, ids: Sequence[UUID]) -> None:
        """Keep hints until the unit is committed."""
        self.hinted += ids

    def refuse_lost(self) -> None:
        """Raise `LeaseLost` where a claim that the unit goes by does not hold any more."""
        for claimed in [*self.finished, *(entry for entry, _ in self.renewed)]:
            held = self.store.ledger.get(claimed.id)
            if held is None or held.is_expired(self.store.clock()):
                raise LeaseLost
            held.require_held(claimed.fence)

    def write(self, now: datetime) -> list[UUID]:
        """Write what was kept for `commit`; return what is to be hinted."""
        for entry in self.added:
            entry.run_at = now + (entry.run_at - entry.created_at)
        for entry in self.saved:
            # What it is about never changes, and was perhaps not loaded.
            entry.payload = self.store.ledger[entry.id].payload
        for entry in [*self.added, *self.saved]:
            self.store.ledger[entry.id] = entry
        for entry, lease in self.renewed:
            self.store.ledger[entry.id].lease_until = now + lease
        for entry in self.finished:
            self.store.ledger[entry.id].finish(now)
        self.store.remove_jobs(self.removed)
        return [entry.id for entry in [*self.added, *self.saved] if entry.is_due(now)] + self.hinted


@dataclass(slots=True)
class MemoryScans:
    """What the scheduler does (port `Scans`)."""

    store: MemoryStore
    delays: dict[str, timedelta] = field(default_factory=dict)

    async def take(self, name: str) -> bool:
        """Return whether a scan is due; the unit alone is the lock."""
        due_at = self.store.scans.get(name)
        return due_at is not None and due_at <= self.store.clock()

    def put_off(self, name: str, delay: timedelta) -> None:
        """Keep the delay for `commit`."""
        self.delays[name] = delay

    def write(self, now: datetime) -> None:
        """Write what was kept for `commit`."""
        known = self.delays.keys() & self.store.scans.keys()
        self.store.scans |= {name: now + self.delays[name] for name in known}


@dataclass(slots=True)
class MemorySamples:
    """The demonstration's effect in one unit of work (port `Samples`)."""

    refunded: list[UUID] = field(default_factory=list)

    def refund(self, job_id: UUID) -> None:
        """Keep a refund for `commit`."""
        self.refunded.append(job_id)


@dataclass(frozen=True, slots=True)
class MemoryClaims:
    """Gives workers something to do (port `Claims`)."""

    store: MemoryStore

    async def __call__(
        self, hint: UUID | None, *, kinds: Collection[str], lease: timedelta
    ) -> LedgerEntry | None:
        """Claim what is hinted at, where it is due, else what is due longest."""
        async with self.store.lock:
            now = self.store.clock()
            due = [entry for entry in _due(self.store, now) if entry.kind in kinds]
            if not due:
                return None
            entry = next((entry for entry in due if entry.id == hint), due[0])
            entry.claim(now, lease)
            return copied_job(entry)


@dataclass(frozen=True, slots=True)
class MemoryLedgerReads:
    """Answers about background work (port `LedgerReads`)."""

    store: MemoryStore

    async def job(self, job_id: UUID) -> JobView | None:
        """Return the work."""
        entry = self.store.ledger.get(job_id)
        return None if entry is None else JobView.of(entry)

    async def jobs(self, query: JobQuery, now: datetime) -> Page[JobView]:
        """Return a page, newest first."""
        matching = [entry for entry in self.store.ledger.values() if _matches(entry, query)]
        matching.sort(key=lambda entry: entry.id, reverse=True)
        items = tuple(JobView.of(entry) for entry in matching[: query.limit])
        as_of = query.after.as_of if query.after else now
        return Page(items, Position(None, items[-1].id, as_of) if len(matching) > query.limit else None)

    async def stats(self) -> JobStats:
        """Count what is not done, and tell when each scan is due."""
        now = self.store.clock()
        by_kind: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in self.store.ledger.values():
            if entry.state is not JobState.DONE:
                by_kind[entry.kind].append(entry)
        return JobStats(
            tuple(_stats(kind, by_kind[kind], now) for kind in sorted(by_kind)),
            tuple(ScanStats(*scan) for scan in sorted(self.store.scans.items())),
        )

    async def refunds(self, job_id: UUID) -> int:
        """Return how many refunds there are of a job."""
        return self.store.refunds[job_id]


def _due(store: MemoryStore, now: datetime) -> list[LedgerEntry]:
    """Return the stored entries themselves that are due, those that are due longest first."""
    due = [entry for entry in store.ledger.values() if entry.is_due(now)]
    return sorted(due, key=lambda entry: (entry.run_at, entry.id))


def _matches(entry: LedgerEntry, query: JobQuery) -> bool:
    return (
        query.state in (None, entry.state)
        and query.kind in (None, entry.kind)
        and (query.after is None or entry.id < query.after.id)
    )


def _stats(kind: str, entries: Sequence[LedgerEntry], now: datetime) -> KindStats:
    states = Counter(entry.state for entry in entries)
    due = [entry.run_at for entry in entries if entry.is_due(now)]
    return KindStats(
        kind, due=len(due), scheduled=states[JobState.PENDING] - len(due), running=states[JobState.RUNNING],
        dead=states[JobState.DEAD], oldest_due_at=min(due, default=None),
    )  # fmt: skip
