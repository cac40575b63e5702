"""The composition: which adapter stands behind which port. The clients that it makes, it closes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from dependency_injector import containers, providers

from taskflow_bootstrap.composition import (
    Tools,
    make_common_passwords,
    make_engine,
    make_passwords,
    make_quota,
    one_transaction,
    use_cases_over,
)
from taskflow_bootstrap.embedded import TaskFlow
from taskflow_bootstrap.keys import make_origins, make_refresh_tokens, make_tokens
from taskflow_bootstrap.notifying import make_notifier
from taskflow_bootstrap.queues import LateQueue
from taskflow_bootstrap.retried import retried
from taskflow_bootstrap.settings import Settings
from taskflow_core import Handler, UseCases
from taskflow_core.ports.notifier import Notifier
from taskflow_core.ports.persistence import (
    Transactions,
    UserReads,
)
from taskflow_core.ports.rate_limits import RateLimits
from taskflow_core.ports.security import AccessTokens, PasswordHasher, RefreshTokens
from taskflow_core.ports.time import Chance, Clock, Ids
from taskflow_resilience import CircuitBreaker, FallbackRateLimits, ProcessRateLimits, State
from taskflow_security import Origins, TrustedProxies, ZxcvbnPasswords
from taskflow_sqlalchemy import (
    SqlAlchemyReads,
    SqlAlchemyTransactions,
    ping,
)
from taskflow_system import SystemChance, SystemClock, Uuid7

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine

Checks: TypeAlias = Mapping[str, Callable[[], Awaitable[None]]]
"""By name, what raises where a dependency cannot be reached."""


def _open_engine(clients: AsyncExitStack, settings: Settings) -> AsyncEngine:
    engine = make_engine(settings)
    clients.push_async_callback(engine.dispose)
    return engine


def _open_redis(clients: AsyncExitStack, settings: Settings) -> Redis:
    from taskflow_redis import close_client, open_client  # noqa: PLC0415 - 0.2 s that the CLI need not spend

    settings.require("redis_url")
    client = open_client(settings.redis_url)
    clients.push_async_callback(close_client, client)
    return client


def _checks(engine: AsyncEngine, settings: Settings, redis: Callable[[], Redis]) -> Checks:
    if not settings.redis_url:
        return {"postgresql": partial(ping, engine)}
    from taskflow_redis import ping as ping_redis  # noqa: PLC0415 - loaded by then

    return {"postgresql": partial(ping, engine), "redis": partial(ping_redis, redis())}


def _open_queue(clients: AsyncExitStack, settings: Settings) -> LateQueue:
    queue = LateQueue(settings.redis_url)
    clients.push_async_callback(queue.aclose)
    return queue


def _open_notifier(clients: AsyncExitStack, settings: Settings) -> Notifier:
    notifier = make_notifier(settings)
    clients.push_async_callback(notifier.aclose)
    return notifier


def _open_passwords(clients: AsyncExitStack, settings: Settings) -> PasswordHasher:
    passwords = make_passwords(settings)
    clients.callback(passwords.close)
    return passwords


def _make_limits(clients: AsyncExitStack, settings: Settings, redis: Callable[[], Redis]) -> RateLimits:
    """Return limits that all processes share, and that each keeps by itself while Redis is away."""
    if not settings.redis_url:
        return ProcessRateLimits()
    from taskflow_redis import Batches, RedisRateLimits  # noqa: PLC0415 - loaded by then

    batches = Batches(redis())
    clients.push_async_callback(batches.aclose)
    breaker = CircuitBreaker(on_change=_tell_of_redis)
    return FallbackRateLimits(RedisRateLimits(batches), ProcessRateLimits(), breaker)


def _tell_of_redis(state: State) -> None:
    log = logging.getLogger(__name__)
    if state is State.OPEN:
        log.warning("Redis is away: each process counts rate limits by itself")
    else:
        log.warning("Redis is back: rate limits are counted there again")


def _proxies(settings: Settings) -> TrustedProxies:
    return TrustedProxies(settings.trusted_proxies)


class Container(containers.DeclarativeContainer):
    """One per process. Nothing connects before it is first used; `close` ends what did.

    `handlers` do kinds of jobs beside TaskFlow's own.
    """

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    handlers: providers.Dependency[Mapping[str, Handler]] = providers.Dependency(default=MappingProxyType({}))

    clock: providers.Provider[Clock] = providers.Singleton(SystemClock)
    ids: providers.Provider[Ids] = providers.Singleton(Uuid7)
    chance: providers.Provider[Chance] = providers.Singleton(SystemChance)
    clients: providers.Provider[AsyncExitStack] = providers.Singleton(AsyncExitStack)
    passwords: providers.Provider[PasswordHasher] = providers.Singleton(_open_passwords, clients, settings)
    common: providers.Provider[ZxcvbnPasswords] = providers.Singleton(make_common_passwords)
    tokens: providers.Provider[AccessTokens] = providers.Singleton(make_tokens, settings)
    refresh_tokens: providers.Provider[RefreshTokens] = providers.Singleton(make_refresh_tokens, settings)
    origins: providers.Provider[Origins] = providers.Singleton(make_origins, settings)
    proxies: providers.Provider[TrustedProxies] = providers.Singleton(_proxies, settings)
    tools: providers.Provider[Tools] = providers.Singleton(
        Tools, settings, passwords, common, tokens, refresh_tokens, clock, ids, chance
    )
    queue: providers.Provider[LateQueue] = providers.Singleton(_open_queue, clients, settings)
    notifier: providers.Provider[Notifier] = providers.Singleton(_open_notifier, clients, settings)

    engine: providers.Provider[AsyncEngine] = providers.Singleton(_open_engine, clients, settings)
    transactions: providers.Provider[Transactions] = providers.Singleton(
        SqlAlchemyTransactions, engine, queue, providers.Callable(make_quota, settings)
    )
    user_reads: providers.Provider[UserReads] = providers.Singleton(SqlAlchemyReads, engine)

    redis: providers.Provider[Redis] = providers.Singleton(_open_redis, clients, settings)
    limits: providers.Provider[RateLimits] = providers.Singleton(
        _make_limits, clients, settings, redis.provider
    )
    checks: providers.Provider[Checks] = providers.Singleton(_checks, engine, settings, redis.provider)

    plain_use_cases: providers.Provider[UseCases] = providers.Singleton(
        use_cases_over, engine, tools, queue, notifier, handlers
    )
    use_cases: providers.Provider[UseCases] = providers.Singleton(retried, plain_use_cases)


def taskflow_of(container: Container) -> TaskFlow:
    """Return what a container holds, as those who use it want it."""
    together = partial(one_transaction, container.engine(), container.tools(), container.queue())
    return TaskFlow(container.use_cases(), container.user_reads(), container.transactions(), together)


async def close(container: Container) -> None:
    """Close the connections to PostgreSQL and to Redis, where there are any."""
    await container.clients().aclose()
