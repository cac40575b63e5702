"""The sessions and security events of one unit of work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from taskflow_core.sessions import End, Origin, Session
from taskflow_sqlalchemy.statements import (
    ADD_EVENT,
    CLOCK,
    END_SESSIONS,
    LOCK_SESSION,
    LOCK_SESSIONS,
    OPEN_SESSION,
    SAVE_SESSION,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.security_events import SecurityEvent
    from taskflow_sqlalchemy.statements import Statement
    from taskflow_sqlalchemy.task_repository import Unit


class SqlAlchemySessions:
    """Loads with locks, collects what is to be written (port `SessionRepository`)."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._opened: list[Statement] = []
        self._written: list[Statement] = []

    async def load(self, session_id: UUID) -> tuple[Session, datetime] | None:
        """Return the session, locked, and the server's time after that."""
        rows, ((now,),) = await self._unit.ask((LOCK_SESSION, {"id": session_id}), (CLOCK, {}))
        return (_session(rows[0]), now) if rows else None

    async def load_many(
        self, ids: Collection[UUID], *, of_owner: UUID | None = None
    ) -> tuple[Mapping[UUID, Session], datetime]:
        """Return the sessions, locked in id order, and the server's time after that."""
        chosen = {"ids": list(ids), "of_owner": of_owner}
        rows, ((now,),) = await self._unit.ask((LOCK_SESSIONS, chosen), (CLOCK, {}))
        return {row[0]: _session(row) for row in rows}, now

    def open(self, session: Session, *, password_version: int) -> None:
        """Keep a new session for `commit`."""
        self._opened.append((OPEN_SESSION, {**_row(session), "password_version": password_version}))

    def save(self, session: Session) -> None:
        """Keep a loaded session for `commit`."""
        self._written.append((SAVE_SESSION, _row(session)))

    def end_all(self, user_id: UUID, end: End, now: datetime, *, but: UUID | None = None) -> None:
        """End a user's live sessions at `commit`."""
        parameters = {"user_id": user_id, "end": str(end), "now": now, "but": but}
        self._written.append((END_SESSIONS, parameters))

    @property
    def opens(self) -> int:
        """How many sessions are to be opened."""
        return len(self._opened)

    def opened(self) -> list[Statement]:
        """Return the statements that open sessions; each writes one row."""
        return self._opened

    def written(self) -> list[Statement]:
        """Return the statements that write what was saved and ended."""
        return self._written


class SqlAlchemyEvents:
    """Collects security events (port `EventLog`)."""

    def __init__(self) -> None:
        self._written: list[Statement] = []

    def add(self, event: SecurityEvent) -> None:
        """Keep an event for `commit`."""
        row = {
            "id": event.id, "user_id": event.user_id, "type": str(event.type), "at": event.at,
            "detail": msgspec.json.encode(event.detail).decode(),
        }  # fmt: skip
        self._written.append((ADD_EVENT, row))

    def written(self) -> list[Statement]:
        """Return the statements that write the events."""
        return self._written


def _session(row: tuple[Any, ...]) -> Session:
    (id, user_id, seed, generation, replaced, address, network, user_agent,
     created_at, last_used_at, ended_at, end) = row  # fmt: skip
    return Session(
        id=id, user_id=user_id, seed=seed, generation=generation, replaced=tuple(replaced),
        origin=Origin(address, network, user_agent), created_at=created_at, last_used_at=last_used_at,
        ended_at=ended_at, end=End(end) if end else None,
    )  # fmt: skip


def _row(session: Session) -> dict[str, Any]:
    origin = session.origin
    return {
        "id": session.id, "user_id": session.user_id, "seed": session.seed, "generation": session.generation,
        "replaced": list(session.replaced), "address": origin.address, "network": origin.network,
        "user_agent": origin.user_agent, "created_at": session.created_at,
        "last_used_at": session.last_used_at, "ended_at": session.ended_at,
        "end_reason": str(session.end) if session.end else None,
    }  # fmt: skip
