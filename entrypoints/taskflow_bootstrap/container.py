"""The composition: which adapter stands behind which port. The clients that it makes, it closes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from dependency_injector import containers, providers

from taskflow_bootstrap.errors import SettingsError
from taskflow_bootstrap.retried import retried
from taskflow_bootstrap.settings import Settings, variable
from taskflow_core import UseCases
from taskflow_core.ports.persistence import TaskReads, Transactions, UserReads
from taskflow_core.ports.security import AccessToken, AccessTokens, PasswordHasher, TokenClaims
from taskflow_core.ports.time import Clock, Ids
from taskflow_security import BcryptPasswords, JwtTokens
from taskflow_sqlalchemy import SqlAlchemyReads, SqlAlchemyTransactions, open_engine, ping
from taskflow_sqlalchemy.errors import raise_translated
from taskflow_system import SystemClock, Uuid7

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Checks: TypeAlias = Mapping[str, Callable[[], Awaitable[None]]]
"""By name, what raises where a dependency cannot be reached."""

ISSUER = "taskflow"


class NoTokens:
    """Stands for tokens where no secret is set; the CLI works without (port `AccessTokens`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def issue(self, claims: TokenClaims, now: datetime) -> AccessToken:
        """Raise `SettingsError`."""
        self._settings.require("jwt_secret")
        raise AssertionError(claims, now)

    def check(self, token: str, now: datetime) -> TokenClaims:
        """Raise `SettingsError`."""
        self._settings.require("jwt_secret")
        raise AssertionError(token, now)


def _tokens(settings: Settings) -> AccessTokens:
    if not settings.jwt_secret:
        return NoTokens(settings)
    lifetime = timedelta(seconds=settings.access_token_lifetime)
    return JwtTokens(settings.jwt_secret, issuer=ISSUER, audience=ISSUER, lifetime=lifetime)


def _open_engine(clients: AsyncExitStack, settings: Settings) -> AsyncEngine:
    settings.require("database_url")
    try:
        engine = open_engine(
            settings.database_url,
            pool_size=settings.database_pool_size,
            statement_timeout=settings.statement_timeout,
        )
    except ValueError as error:
        raise SettingsError([f"{variable('database_url')} {error}."]) from error
    clients.push_async_callback(engine.dispose)
    return engine


def _open_redis(clients: AsyncExitStack, settings: Settings) -> Redis:
    from taskflow_redis import close_client, open_client  # noqa: PLC0415 - 0.2 s that the CLI need not spend

    settings.require("redis_url")
    client = open_client(settings.redis_url)
    clients.push_async_callback(close_client, client)
    return client


def _checks(engine: AsyncEngine, redis: Redis) -> Checks:
    from taskflow_redis import ping as ping_redis  # noqa: PLC0415 - loaded by then

    return {"postgresql": partial(ping, engine), "redis": partial(ping_redis, redis)}


class Container(containers.DeclarativeContainer):
    """One per process. Nothing connects before it is first used; `close` ends what did."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)

    clock: providers.Provider[Clock] = providers.Singleton(SystemClock)
    ids: providers.Provider[Ids] = providers.Singleton(Uuid7)
    passwords: providers.Provider[PasswordHasher] = providers.Singleton(
        BcryptPasswords, cost=settings.provided.password_cost, threads=settings.provided.password_threads
    )
    tokens: providers.Provider[AccessTokens] = providers.Singleton(_tokens, settings)

    clients: providers.Provider[AsyncExitStack] = providers.Singleton(AsyncExitStack)
    engine: providers.Provider[AsyncEngine] = providers.Singleton(_open_engine, clients, settings)
    transactions: providers.Provider[Transactions] = providers.Singleton(SqlAlchemyTransactions, engine)
    task_reads: providers.Provider[TaskReads] = providers.Singleton(SqlAlchemyReads, engine)
    user_reads: providers.Provider[UserReads] = providers.Singleton(SqlAlchemyReads, engine)

    redis: providers.Provider[Redis] = providers.Singleton(_open_redis, clients, settings)
    checks: providers.Provider[Checks] = providers.Singleton(_checks, engine, redis)

    plain_use_cases: providers.Provider[UseCases] = providers.Singleton(
        UseCases.over,
        transactions=transactions,
        task_reads=task_reads,
        user_reads=user_reads,
        passwords=passwords,
        tokens=tokens,
        clock=clock,
        ids=ids,
    )
    use_cases: providers.Provider[UseCases] = providers.Singleton(retried, plain_use_cases)


def use_cases_on(container: Container, connection: AsyncConnection) -> UseCases:
    """Return the use cases inside the transaction that a host has open on `connection`.

    Nothing is tried again there: whether a transaction that lost a race goes on is for its owner to say.
    """
    reads = SqlAlchemyReads.joined(connection)
    return UseCases.over(
        transactions=SqlAlchemyTransactions.joined(connection),
        task_reads=reads,
        user_reads=reads,
        passwords=container.passwords(),
        tokens=container.tokens(),
        clock=container.clock(),
        ids=container.ids(),
    )


@asynccontextmanager
async def one_transaction(container: Container) -> AsyncIterator[UseCases]:
    """Yield the use cases inside one transaction, committed at the end; what is raised takes all of it back.

    Raises:
        Unavailable: The connection or the commit failed; nothing was kept.
    """
    try:
        async with container.engine().connect() as shared:
            connection = await shared.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                yield use_cases_on(container, connection)
    except Exception as error:
        raise_translated(error)
        raise


async def close(container: Container) -> None:
    """Close the connections to PostgreSQL and to Redis, where there are any."""
    await container.clients().aclose()
