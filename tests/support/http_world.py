"""The HTTP API over the memory adapters, with somebody of each role in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from starlette.applications import Starlette

from taskflow_core import (
    Actor,
    LedgerEntry,
    Limit,
    NewTask,
    NewUser,
    Origin,
    Rate,
    Role,
    Session,
    UseCases,
    UserView,
)
from taskflow_core.ports.rate_limits import RateLimits
from taskflow_core.ports.security import AccessTokens, RefreshTokens, TokenClaims
from taskflow_http import Addresses, HttpOptions, Limits, create_app
from taskflow_memory import (
    MemoryClaims,
    MemoryCommonPasswords,
    MemoryIdentities,
    MemoryLedgerReads,
    MemoryLoginAttempts,
    MemoryNotifier,
    MemoryPasswords,
    MemoryQueue,
    MemoryRateLimits,
    MemoryReads,
    MemoryRefreshTokens,
    MemorySessionReads,
    MemoryStore,
    MemoryTokens,
    MemoryTransactions,
)
from taskflow_system import Uuid7

PASSWORD = "correct horse battery staple"
CURSOR_KEY = b"cursor key of the tests, 32 byte"
NOBODY = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


@dataclass
class TestClock:
    """Stands until it is moved."""

    __test__ = False
    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> None:
        self.now += timedelta(**parts)


def let_pass(seconds: float) -> None:
    """Put on the running loop's clock: whatever waits for less has waited long enough, and nobody has waited.

    What hangs does so when it is reached, so that no deadline is over before that.
    """
    loop = asyncio.get_running_loop()
    now = loop.time
    setattr(loop, "time", lambda: now() + seconds)  # noqa: B010 - a method


def limits(rate_limits: RateLimits | None = None, **rates: str) -> Limits:
    """Return limits such as `api="5/minute"`; those not named are off."""
    classes = ("login", "refresh", "register", "password", "api")
    named = {name: Limit(name, Rate.parse(rates[name])) if name in rates else None for name in classes}
    return Limits(rate_limits=rate_limits or MemoryRateLimits(), **named)


def client_by_header(peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Believe everybody: tests say where they come from."""
    return dict(headers).get(b"x-test-address", (peer or "").encode()).decode() or None


NO_LIMITS = limits()
ADDRESSES = Addresses(
    client=client_by_header,
    origin=lambda address, agent: Origin(f"address {address}", f"network {address}", agent),
    subject=lambda address: f"subject {address}",
)


@dataclass
class World:
    """An API and those who use it: user, other (a user too), manager and admin, each with a session."""

    clock: TestClock = field(default_factory=TestClock)
    ids: Uuid7 = field(default_factory=Uuid7)
    tokens: AccessTokens = field(default_factory=lambda: MemoryTokens(timedelta(minutes=15)))
    refresh_tokens: RefreshTokens = field(default_factory=MemoryRefreshTokens)
    queue: MemoryQueue = field(default_factory=MemoryQueue)
    notifier: MemoryNotifier = field(default_factory=MemoryNotifier)
    store: MemoryStore = field(init=False)
    people: dict[str, UserView] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    use_cases: UseCases = field(init=False)
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        reads = MemoryReads(self.store)
        self.use_cases = UseCases.over(
            transactions=MemoryTransactions(self.store, self.queue), task_reads=reads, user_reads=reads,
            session_reads=MemorySessionReads(self.store), identities=MemoryIdentities(self.store),
            attempts=MemoryLoginAttempts(self.store), passwords=MemoryPasswords(),
            common=MemoryCommonPasswords(), tokens=self.tokens, refresh_tokens=self.refresh_tokens,
            clock=self.clock, ids=self.ids, claims=MemoryClaims(self.store),
            ledger_reads=MemoryLedgerReads(self.store), queue=self.queue, notifier=self.notifier,
            chance=lambda: 0.5,
        )  # fmt: skip

    def app(
        self,
        *,
        checks: Mapping[str, Callable[[], Awaitable[None]]] | None = None,
        options: HttpOptions | None = None,
        limits: Limits = NO_LIMITS,
        **replaced: Any,
    ) -> Starlette:
        """Return the application; `replaced` are use cases that stand in for the real ones."""
        return create_app(
            use_cases=replace(self.use_cases, **replaced), tokens=self.tokens, clock=self.clock,
            cursor_key=CURSOR_KEY, checks=checks, options=options or HttpOptions(), limits=limits,
            addresses=ADDRESSES,
        )  # fmt: skip

    def token(self, name: str) -> str:
        claims = TokenClaims(self.people[name].id, self.sessions[name].id)
        return self.tokens.issue(claims, self.clock()).value

    def headers(self, name: str | None) -> dict[str, str]:
        """Return what authenticates somebody by name; None is somebody unknown."""
        return {} if name is None else {"Authorization": f"Bearer {self.token(name)}"}

    async def send(
        self,
        who: str | None,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Send a request as somebody."""
        return await self.client.request(
            method, path, headers=self.headers(who) | dict(headers or {}), **more
        )

    async def task(self, owner: str, **fields: Any) -> UUID:
        """Make a task of somebody's."""
        person = self.people[owner]
        new = NewTask(**({"title": "Write the report"} | fields))
        return (await self.use_cases.create_task(new, Actor.of(person.id, person.role))).id

    def job(self, kind: str = "sample.refund", *, dead: bool = False, **fields: Any) -> UUID:
        """Put a job into the ledger."""
        now = self.clock()
        entry = LedgerEntry.create(id=self.ids(now), kind=kind, now=now, **fields)
        if dead:
            entry.claim(now)
            entry.fail("The bank did not answer.", now, 0.5, final=True)
        self.store.ledger[entry.id] = entry
        return entry.id

    def open_session(self, name: str) -> Session:
        """Open a session of somebody's."""
        now, seed = self.clock(), self.refresh_tokens.new_seed()
        session = Session.open(
            id=self.ids(now), user_id=self.people[name].id, seed=seed, origin=Origin(), now=now
        )
        self.store.put_session(session)
        return session


def client_of(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://taskflow.test")


@asynccontextmanager
async def open_world(**given: Any) -> AsyncIterator[World]:
    """Enter a world with a client."""
    world = World(**given)
    roles = {"user": Role.USER, "other": Role.USER, "manager": Role.MANAGER, "admin": Role.ADMIN}
    for name, role in roles.items():
        new = NewUser(email=f"{name}@example.com", name=name.title(), password=PASSWORD, role=role)
        world.people[name] = await world.use_cases.create_user(new, Actor.operator())
        world.sessions[name] = world.open_session(name)
    async with client_of(world.app()) as world.client:
        yield world
