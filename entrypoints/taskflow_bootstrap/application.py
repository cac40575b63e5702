"""The HTTP application over the container."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import taskflow_http
from taskflow_bootstrap.container import Container, close
from taskflow_bootstrap.descriptors import connections_allowed
from taskflow_bootstrap.keys import cursor_keys
from taskflow_bootstrap.settings import RateLimit, Settings
from taskflow_core import Limit
from taskflow_http.limits import Addresses, Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HSTS_SECONDS: Final = 365 * 24 * 3600


def create_application(container: Container) -> ASGIApp:
    """Return the API; its lifespan closes what the container opened.

    Raises:
        SettingsError: The database's address or the secret is not given. Without Redis' address each process
            counts the rate limits by itself.
    """
    settings: Settings = container.settings()
    settings.require("database_url", "jwt_secret")
    newest, *older = cursor_keys(settings)
    return taskflow_http.create_app(
        use_cases=container.use_cases(),
        tokens=container.tokens(),
        clock=container.clock(),
        limits=_limits(container),
        addresses=addresses(container),
        cursor_key=newest,
        older_cursor_keys=older,
        checks=container.checks(),
        options=http_options(settings),
        on_startup=[partial(_load, container)],
        on_shutdown=[partial(close, container)],
    )


def http_options(settings: Settings) -> taskflow_http.HttpOptions:
    """Return what the edge and the server's protocol go by."""
    half_of_pool = max(1, settings.database_pool_size // 2)
    return taskflow_http.HttpOptions(
        request_timeout=settings.request_timeout,
        connections_max=connections_allowed(settings.max_connections, settings.database_pool_size),
        user_concurrency=min(settings.user_concurrency, half_of_pool),
        expensive_concurrency=half_of_pool,
        # Without it each process keeps the limits by itself.
        dispensable=frozenset({"redis"}),
        cors_origins=settings.cors_origins,
        hsts_seconds=HSTS_SECONDS if settings.hsts else 0,
    )


def _limits(container: Container) -> Limits:
    settings: Settings = container.settings()
    return Limits(
        rate_limits=container.limits(),
        login=_limit("login", settings.rate_limit_login),
        refresh=_limit("refresh", settings.rate_limit_refresh),
        register=_limit("register", settings.rate_limit_register),
        password=_limit("password", settings.rate_limit_password),
        api=_limit("api", settings.rate_limit_api),
    )


def _limit(name: str, rate: RateLimit) -> Limit | None:
    return None if rate is None else Limit(name, rate)


def addresses(container: Container) -> Addresses:
    """Return what is made of clients' addresses."""
    origins, proxies = container.origins(), container.proxies()
    return Addresses(client=proxies.client_address, origin=origins.of, subject=origins.subject)


async def _load(container: Container) -> None:
    """Load while nobody waits what the first who needs it would wait for, and all others with it."""
    await asyncio.to_thread(container.common().load)
    container.queue().open()
