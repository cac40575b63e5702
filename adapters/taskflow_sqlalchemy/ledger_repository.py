"""The background work, scans and samples of one unit of work."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from taskflow_core.ledger import JobState, LedgerEntry
from taskflow_sqlalchemy.ledger_statements import (
    ADD_JOBS,
    DUE_JOBS,
    FINISH,
    LOCK_DEAD,
    LOCK_EXPIRED,
    LOCK_JOB,
    PUT_OFF_SCAN,
    REFUND,
    REMOVE_JOBS,
    RENEW,
    SAVE_JOBS,
    TAKE_SCAN,
    UNFINISHED_KINDS,
)
from taskflow_sqlalchemy.statements import CLOCK

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from uuid import UUID

    from taskflow_sqlalchemy.statements import Statement
    from taskflow_sqlalchemy.task_repository import Unit

_encode: Final = msgspec.json.Encoder().encode


class SqlAlchemyLedger:
    """Loads with locks, collects what is to be written (port `LedgerRepository`)."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._added: list[dict[str, Any]] = []
        self._saved: list[dict[str, Any]] = []
        self._removed: list[UUID] = []
        self._held: list[Statement] = []
        self._hints: list[UUID] = []
        self._now: datetime | None = None

    def add(self, entry: LedgerEntry) -> None:
        """Keep new work for `commit`."""
        delay = entry.run_at - entry.created_at
        self._added.append({
            "id": entry.id, "kind": entry.kind, "subject": entry.subject, "payload": entry.payload,
            "max_tries": entry.max_tries, "delay": f"{delay // timedelta(microseconds=1)} microseconds",
            "created_at": entry.created_at, "request_id": entry.request_id,
        })  # fmt: skip
        if delay <= timedelta():
            self._hints.append(entry.id)

    async def load(self, entry_id: UUID) -> tuple[LedgerEntry, datetime] | None:
        """Return the entry, locked, and the server's time after that."""
        entries, now = await self._locked(LOCK_JOB, {"id": entry_id})
        return (entries[0], now) if entries else None

    async def load_expired(self, *, limit: int) -> tuple[Sequence[LedgerEntry], datetime]:
        """Return running entries whose lease is out, locked."""
        return await self._locked(LOCK_EXPIRED, {"limit": limit})

    async def load_dead(
        self, kind: str, *, as_of: datetime | None, limit: int
    ) -> tuple[Sequence[LedgerEntry], datetime]:
        """Return what has been dead for longest of a kind, locked."""
        return await self._locked(LOCK_DEAD, {"kind": kind, "as_of": as_of, "limit": limit})

    async def _locked(self, sql: str, parameters: dict[str, Any]) -> tuple[Sequence[LedgerEntry], datetime]:
        rows, ((now,),) = await self._unit.ask((sql, parameters), (CLOCK, {}))
        self._now = now
        return [job_entry(row) for row in rows], now

    async def due(self, *, limit: int) -> Sequence[UUID]:
        """Return the ids of the entries that are due longest."""
        (rows,) = await self._unit.ask((DUE_JOBS, {"limit": limit}))
        return [row[0] for row in rows]

    async def unfinished(self, kinds: Collection[str]) -> frozenset[str]:
        """Return which of these kinds have entries that are pending or running."""
        (rows,) = await self._unit.ask((UNFINISHED_KINDS, {"kinds": [str(kind) for kind in kinds]}))
        return frozenset(row[0] for row in rows)

    def finish(self, entry: LedgerEntry) -> None:
        """End a claimed entry at `commit`."""
        self._held.append((FINISH, {"id": entry.id, "fence": entry.fence}))

    def renew(self, entry: LedgerEntry, lease: timedelta) -> None:
        """Make a claim last longer at `commit`."""
        self._held.append((RENEW, {"id": entry.id, "fence": entry.fence, "lease": lease}))

    def save(self, entry: LedgerEntry) -> None:
        """Keep a loaded entry for `commit`."""
        if self._now is None:
            raise LookupError("Only an entry that this unit of work has loaded, and so locked, can be saved.")
        self._saved.append({
            "id": entry.id, "state": entry.state, "tries": entry.tries, "run_at": entry.run_at,
            "lease_until": entry.lease_until, "error": entry.error, "finished_at": entry.finished_at,
        })  # fmt: skip
        if entry.is_due(self._now):
            self._hints.append(entry.id)

    def remove(self, entry: LedgerEntry) -> None:
        """Remove a loaded entry at `commit`."""
        self._removed.append(entry.id)

    def hint(self, ids: Sequence[UUID]) -> None:
        """Hint entries after `commit`."""
        self._hints += ids

    @property
    def hints(self) -> Sequence[UUID]:
        """What is to be hinted after `commit`."""
        return self._hints

    def held(self) -> list[Statement]:
        """Return the statements that end or renew claims; each touches one row, or the claim is lost."""
        return self._held

    def added(self) -> list[Statement]:
        """Return the statement that adds new work, if there is any."""
        return [(ADD_JOBS, {"jobs": _encode(self._added).decode()})] if self._added else []

    def written(self) -> list[Statement]:
        """Return the statements that write what was saved and removed."""
        statements: list[Statement] = []
        if self._saved:
            statements.append((SAVE_JOBS, {"jobs": _encode(self._saved).decode()}))
        if self._removed:
            statements.append((REMOVE_JOBS, {"ids": self._removed}))
        return statements


class SqlAlchemyScans:
    """Takes scans one at a time over all schedulers (port `Scans`)."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._written: list[Statement] = []

    async def take(self, name: str) -> bool:
        """Return whether the scan is due and this unit's now."""
        (rows,) = await self._unit.ask((TAKE_SCAN, {"name": name}))
        return bool(rows)

    def put_off(self, name: str, delay: timedelta) -> None:
        """Make the scan due again, at `commit`."""
        self._written.append((PUT_OFF_SCAN, {"name": name, "delay": delay}))

    def written(self) -> list[Statement]:
        """Return the statements that put scans off."""
        return self._written


class SqlAlchemySamples:
    """Notes refunds (port `Samples`)."""

    def __init__(self) -> None:
        self._written: list[Statement] = []

    def refund(self, job_id: UUID) -> None:
        """Note a refund at `commit`."""
        self._written.append((REFUND, {"job_id": job_id}))

    def written(self) -> list[Statement]:
        """Return the statements that note refunds."""
        return self._written


def job_entry(row: tuple[Any, ...]) -> LedgerEntry:
    """Return the entry of a row of `JOB_COLUMNS`."""
    (id, kind, subject, payload, state, tries, max_tries, fence, run_at, lease_until, error,
     created_at, finished_at, request_id) = row  # fmt: skip
    return LedgerEntry(
        id=id, kind=kind, subject=subject, payload=payload, created_at=created_at, run_at=run_at,
        max_tries=max_tries, state=JobState(state), tries=tries, fence=fence, lease_until=lease_until,
        error=error, finished_at=finished_at, request_id=request_id,
    )  # fmt: skip
