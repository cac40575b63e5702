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
from taskflow_core import LogInAttempt, NewUser, Origin, Role, SignedIn, UseCases, UserView
from taskflow_sqlalchemy import open_engine

PASSWORD = "a password of the tests"
SECRET = "a secret for tests only, long enough to be one"


@dataclass
class Person:
    """Somebody who is signed in."""

    view: UserView
    signed_in: SignedIn

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.signed_in.access_token.value}"}

    @property
    def email(self) -> str:
        return self.view.email


@dataclass
class Instance:
    """One running API."""

    container: Container
    client: httpx.AsyncClient

    @property
    def use_cases(self) -> UseCases:
        return self.container.use_cases()

    async def person(self, role: Role = Role.USER) -> Person:
        """Make an account, and sign it in."""
        new = NewUser(email=f"{uuid4()}@example.com", name="Person", password=PASSWORD, role=role)
        view = await self.use_cases.create_user(new, OPERATOR)
        return Person(view, await self.sign_in(view.email))

    async def sign_in(self, email: str, password: str = PASSWORD, agent: str | None = None) -> SignedIn:
        """Open a session, past the limits of HTTP."""
        return await self.use_cases.log_in(LogInAttempt(email, password, Origin(user_agent=agent)))

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


def settings_of(database_url: str, redis_url: str, **given: Any) -> Settings:
    """Return settings for tests: cheap passwords, no rate limits, quiet, patient; `given` goes before."""
    fields: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": redis_url,
        "jwt_secret": (SECRET,),
        "password_cost": 4,
        "log_level": "error",
        "statement_timeout": 60.0,
        "request_timeout": 90.0,
        "rate_limit_login": None,
        "rate_limit_refresh": None,
        "rate_limit_register": None,
        "rate_limit_password": None,
        "rate_limit_api": None,
        "user_concurrency": 0,
    }
    return Settings(**fields | given)


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
async def open_instance(settings: Settings) -> AsyncIterator[Instance]:
    """Start an instance of the API, as `taskflow serve` would compose it, but for waiting for connections."""
    async with AsyncExitStack() as stack:
        stack.enter_context(quiet_logs())
        stack.enter_context(patch.dict(open_engine.__kwdefaults__, pool_timeout=60.0))
        stack.enter_context(patch("taskflow_sqlalchemy.addresses.CONNECT_TIMEOUT", 60))
        container = Container(settings=settings)
        stack.push_async_callback(close, container)
        application = cast("Starlette", create_application(container))
        # As a server would: what runs in the background ends before the connections do.
        await stack.enter_async_context(application.router.lifespan_context(application))
        yield Instance(container, await stack.enter_async_context(client_of(application)))


@asynccontextmanager
async def open_instances(
    database_url: str, redis_url: str, number: int = 1, **given: Any
) -> AsyncIterator[list[Instance]]:
    """Start instances with the same settings; see `settings_of`."""
    settings = settings_of(database_url, redis_url, **given)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_instance(settings)) for _ in range(number)]
