"""The HTTP API as it is shipped, over real PostgreSQL, any number of instances of it in one process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, cast
from unittest.mock import patch
from uuid import uuid4

import httpx
import structlog
from starlette.applications import Starlette

from support.http_world import client_of
from support.samples import OPERATOR
from taskflow_bootstrap.application import create_application
from taskflow_bootstrap.container import Container, close
from taskflow_bootstrap.settings import Settings
from taskflow_core import NewUser, Role, UseCases, UserView
from taskflow_core.ports.security import TokenClaims

SECRET = "a secret for tests only, long enough to be one"


@dataclass
class Person:
    """Somebody with a token."""

    view: UserView
    headers: dict[str, str]


@dataclass
class Instance:
    """One running API."""

    container: Container
    client: httpx.AsyncClient

    @property
    def use_cases(self) -> UseCases:
        return self.container.use_cases()

    async def person(self, role: Role = Role.USER) -> Person:
        """Make an account."""
        new = NewUser(email=f"{uuid4()}@example.com", name="Person", password="long enough", role=role)
        view = await self.use_cases.create_user(new, OPERATOR)
        token = self.container.tokens().issue(TokenClaims(view.id, view.role), self.container.clock()())
        return Person(view, {"Authorization": f"Bearer {token.value}"})

    async def call(self, person: Person, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request as somebody."""
        headers = person.headers | more.pop("headers", {})
        return await self.client.request(method, path, headers=headers, **more)

    async def task(self, person: Person, **fields: Any) -> dict[str, Any]:
        """Make a task by HTTP."""
        answer = await self.call(person, "POST", "/tasks", json={"title": "A task"} | fields)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Log errors only, and leave no trace of it: as it is set up for serving, loggers keep their settings."""
    with patch("taskflow_http.configure_logging"):
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        try:
            yield
        finally:
            structlog.reset_defaults()


@asynccontextmanager
async def open_instances(database_url: str, redis_url: str, number: int = 1) -> AsyncIterator[list[Instance]]:
    """Start instances of the API, as `taskflow serve` would compose them."""
    settings = Settings(
        database_url=database_url,
        redis_url=redis_url,
        jwt_secret=(SECRET,),
        password_cost=4,
        log_level="error",
    )
    async with AsyncExitStack() as stack:
        stack.enter_context(quiet_logs())
        instances = []
        for _ in range(number):
            container = Container(settings=settings)
            stack.push_async_callback(close, container)
            application = cast("Starlette", create_application(container))
            # As a server would: what runs in the background ends before the connections do.
            await stack.enter_async_context(application.router.lifespan_context(application))
            instances.append(Instance(container, await stack.enter_async_context(client_of(application))))
        yield instances
