"""Questions about background work."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    bindparam,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from taskflow_core.ledger import JobQuery, JobState, JobStats, JobView, KindStats, ScanStats
from taskflow_core.queries import Page, Position
from taskflow_sqlalchemy.connections import Connections, JoinedConnections, PooledConnections, fetch_all
from taskflow_sqlalchemy.ledger_statements import COUNT_JOBS, COUNT_REFUNDS, DUE_SCANS
from taskflow_sqlalchemy.statements import compiled, newest_of
from taskflow_sqlalchemy.tables import ledger

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection

_c: Final = ledger.c
_COLUMNS: Final = (
    _c.id, _c.kind, _c.subject, _c.state, _c.tries, _c.max_tries, _c.run_at, _c.error,
    _c.created_at, _c.finished_at, _c.request_id,
)  # fmt: skip
_rows: Final = bindparam("rows", type_=Integer)
_ONE: Final = compiled(select(*_COLUMNS).where(_c.id == bindparam("id")))


class SqlAlchemyLedgerReads:
    """Questions about background work (port `LedgerReads`)."""

    def __init__(self, source: AsyncEngine | Connections) -> None:
        self._connections: Connections = (
            PooledConnections(source) if isinstance(source, AsyncEngine) else source
        )

    @classmethod
    def joined(cls, connection: AsyncConnection) -> SqlAlchemyLedgerReads:
        """Return reads inside the transaction that the host has open on `connection`."""
        return cls(JoinedConnections(connection))

    async def job(self, job_id: UUID) -> JobView | None:
        """Return the work."""
        rows = await fetch_all(self._connections, _ONE, {"id": job_id})
        return _view(rows[0]) if rows else None

    async def jobs(self, query: JobQuery, now: datetime) -> Page[JobView]:
        """Return a page."""
        after = query.after
        parameters = {"kind": query.kind, "after": after.id if after else None, "rows": query.limit + 1}
        sql = _list_jobs(state=query.state, kind=query.kind is not None, after=after is not None)
        rows = await fetch_all(self._connections, sql, parameters)
        items = tuple(_view(row) for row in rows[: query.limit])
        as_of = after.as_of if after else now
        return Page(items, Position(None, items[-1].id, as_of) if len(rows) > query.limit else None)

    async def stats(self) -> JobStats:
        """Count what is not done, and tell when each scan is due."""
        kinds = await fetch_all(self._connections, COUNT_JOBS, {})
        scans = await fetch_all(self._connections, DUE_SCANS, {})
        return JobStats(tuple(KindStats(*row) for row in kinds), tuple(ScanStats(*row) for row in scans))

    async def refunds(self, job_id: UUID) -> int:
        """Return how many refunds there are of a job."""
        rows = await fetch_all(self._connections, COUNT_REFUNDS, {"job_id": job_id})
        return int(rows[0][0])


@cache
def _list_jobs(*, state: JobState | None, kind: bool, after: bool) -> str:
    """Return the statement for one page; each state has an index of its own, by kind."""
    if not kind:
        return compiled(_newest(state, after=after))
    if state is not None:
        return compiled(_newest_of_kind(state, after=after))
    pages = (_newest_of_kind(each, after=after).subquery() for each in JobState)
    found = union_all(*(select(page) for page in pages)).subquery()
    return compiled(select(found).order_by(found.c.id.desc()).limit(_rows))


def _newest(state: JobState | None, *, after: bool) -> Select[Any]:
    statement = select(*_COLUMNS)
    if state is not None:
        statement = statement.where(_is(state))
    if after:
        statement = statement.where(_c.id < bindparam("after"))
    return statement.order_by(_c.id.desc()).limit(_rows)


def _newest_of_kind(state: JobState, *, after: bool) -> Select[Any]:
    statement = select(*_COLUMNS).where(_is(state))
    return newest_of(statement, _c.kind, bindparam("kind", type_=Text), _c.id, after=after).limit(_rows)


def _is(state: JobState) -> ColumnElement[bool]:
    """Return the condition with the state in it, so that a plan for all values can use its index."""
    return _c.state == literal_column(f"'{state}'")


def _view(row: tuple[Any, ...]) -> JobView:
    id, kind, subject, state, *rest = row
    return JobView(id, kind, subject, JobState(state), *rest)
