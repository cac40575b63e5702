"""The HTTP API over the memory adapters, with somebody of each role in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from starlette.applications import Starlette

from taskflow_core import Actor, NewTask, NewUser, Role, UseCases, UserView
from taskflow_core.ports.security import TokenClaims
from taskflow_http import HttpOptions, create_app
from taskflow_memory import MemoryPasswords, MemoryReads, MemoryStore, MemoryTokens, MemoryTransactions
from taskflow_system import Uuid7

PASSWORD = "correct horse battery staple"
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


@dataclass
class World:
    """An API and those who use it: user, other (a user too), manager and admin."""

    clock: TestClock = field(default_factory=TestClock)
    ids: Uuid7 = field(default_factory=Uuid7)
    store: MemoryStore = field(default_factory=MemoryStore)
    tokens: MemoryTokens = field(default_factory=lambda: MemoryTokens(timedelta(minutes=15)))
    people: dict[str, UserView] = field(default_factory=dict)
    use_cases: UseCases = field(init=False)
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        reads = MemoryReads(self.store)
        self.use_cases = UseCases.over(
            transactions=MemoryTransactions(self.store), task_reads=reads, user_reads=reads,
            passwords=MemoryPasswords(), tokens=self.tokens, clock=self.clock, ids=self.ids,
        )  # fmt: skip

    def app(
        self,
        *,
        checks: Mapping[str, Callable[[], Awaitable[None]]] | None = None,
        options: HttpOptions | None = None,
        **replaced: Any,
    ) -> Starlette:
        """Return the application; `replaced` are use cases that stand in for the real ones."""
        return create_app(
            use_cases=replace(self.use_cases, **replaced), tokens=self.tokens, clock=self.clock,
            cursor_key=b"cursor key of the tests, 32 byte", checks=checks, options=options or HttpOptions(),
        )  # fmt: skip

    def token(self, name: str) -> str:
        person = self.people[name]
        return self.tokens.issue(TokenClaims(person.id, person.role), self.clock()).value

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


def client_of(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://taskflow.test")


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """Enter a world with a client."""
    world = World()
    roles = {"user": Role.USER, "other": Role.USER, "manager": Role.MANAGER, "admin": Role.ADMIN}
    for name, role in roles.items():
        new = NewUser(email=f"{name}@example.com", name=name.title(), password=PASSWORD, role=role)
        world.people[name] = await world.use_cases.create_user(new, Actor.operator())
    async with client_of(world.app()) as world.client:
        yield world
