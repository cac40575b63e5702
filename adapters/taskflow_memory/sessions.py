"""Sessions, security events, and who asks, over the dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from taskflow_core import Identity, Page, Position, SessionView

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime
    from uuid import UUID

    from taskflow_core import End, EventQuery, SecurityEvent, Session
    from taskflow_core.ports.security import TokenClaims
    from taskflow_memory.store import MemoryStore

SESSIONS_MAX: Final = 100


@dataclass(slots=True)
class MemorySessionRepository:
    """The sessions of one unit of work (port `SessionRepository`)."""

    store: MemoryStore
    opened: list[tuple[Session, int]] = field(default_factory=list)
    written: list[Callable[[], None]] = field(default_factory=list)

    async def load(self, session_id: UUID) -> tuple[Session, datetime] | None:
        """Return a copy and the store's time; the unit alone is the lock."""
        session = self.store.sessions.get(session_id)
        return None if session is None else (replace(session), self.store.clock())

    async def load_many(
        self, ids: Collection[UUID], *, of_owner: UUID | None = None
    ) -> tuple[Mapping[UUID, Session], datetime]:
        """Return copies and the store's time."""
        found = (self.store.sessions.get(id) for id in ids)
        own = (each for each in found if each and of_owner in (None, each.user_id))
        return {each.id: replace(each) for each in own}, self.store.clock()

    def open(self, session: Session, *, password_version: int) -> None:
        """Keep a copy for `commit`, with the password's version that was seen."""
        self.opened.append((replace(session), password_version))

    def save(self, session: Session) -> None:
        """Keep a copy for `commit`."""
        self.written.append(partial(self.store.put_session, replace(session)))

    def end_all(self, user_id: UUID, end: End, now: datetime, *, but: UUID | None = None) -> None:
        """End a user's live sessions at `commit`, those that are opened until then too."""
        self.written.append(partial(self.store.end_sessions, user_id, end, now, but))

    def write(self) -> None:
        """Write what was kept for `commit`."""
        for session, _ in self.opened:
            self.store.put_session(session)
        for write in self.written:
            write()


@dataclass(slots=True)
class MemoryEventLog:
    """The security events of one unit of work (port `EventLog`)."""

    written: list[SecurityEvent] = field(default_factory=list)

    def add(self, event: SecurityEvent) -> None:
        """Keep an event for `commit`."""
        self.written.append(event)


@dataclass(frozen=True, slots=True)
class MemorySessionReads:
    """Answers about sessions and security events (port `SessionReads`)."""

    store: MemoryStore

    async def sessions(self, user_id: UUID) -> tuple[SessionView, ...]:
        """Return the live sessions of a user, the last used first."""
        now = self.store.clock()
        live = [session for session in self.store.sessions_of(user_id) if session.is_live(now)]
        live.sort(key=lambda session: (session.last_used_at, session.id), reverse=True)
        return tuple(
            SessionView(session.id, session.created_at, session.last_used_at, session.origin.user_agent)
            for session in live[:SESSIONS_MAX]
        )

    async def events(self, query: EventQuery, now: datetime) -> Page[SecurityEvent]:
        """Return a page of events, newest first."""
        matching = [event for event in self.store.events.values() if _matches(event, query)]
        matching.sort(key=lambda event: event.id, reverse=True)
        items = tuple(replace(event, detail=dict(event.detail)) for event in matching[: query.limit])
        as_of = query.after.as_of if query.after else now
        return Page(items, Position(None, items[-1].id, as_of) if len(matching) > query.limit else None)


def _matches(event: SecurityEvent, query: EventQuery) -> bool:
    return (
        query.owner in (None, event.user_id)
        and query.type in (None, event.type)
        and (query.after is None or event.id < query.after.id)
    )


@dataclass(frozen=True, slots=True)
class MemoryIdentities:
    """Says who asks (port `Identities`)."""

    store: MemoryStore

    async def __call__(self, claims: TokenClaims) -> Identity | None:
        """Return what holds of a session at this moment."""
        session, user = self.store.sessions.get(claims.session_id), self.store.live_user(claims.user_id)
        if session is None or user is None or session.user_id != user.id or not user.active:
            return None
        if not session.is_live(self.store.clock()):
            return None
        return Identity(session.id, user.id, user.role, self.store.data_version(user.id))
