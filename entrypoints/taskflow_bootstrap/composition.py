"""What the container and embedders build alike: no server, no container, no connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncEngine

from taskflow_bootstrap.demo_accounts import DEMO_USERS
from taskflow_bootstrap.errors import SettingsError
from taskflow_bootstrap.keys import NoSecret, attempts_key, make_refresh_tokens, make_tokens
from taskflow_bootstrap.settings import Settings, variable
from taskflow_core import Handler, Quota, Unavailable, UseCases
from taskflow_core.ports.notifier import Notifier
from taskflow_core.ports.persistence import LoginAttempts, Transactions
from taskflow_core.ports.queue import Queue
from taskflow_core.ports.security import AccessTokens, CommonPasswords, PasswordHasher, RefreshTokens
from taskflow_core.ports.time import Chance, Clock, Ids
from taskflow_security import BcryptPasswords, ZxcvbnPasswords
from taskflow_sqlalchemy import (
    SqlAlchemyClaims,
    SqlAlchemyIdentities,
    SqlAlchemyLedgerReads,
    SqlAlchemyLoginAttempts,
    SqlAlchemyReads,
    SqlAlchemySessionReads,
    SqlAlchemyTransactions,
    open_engine,
)
from taskflow_sqlalchemy.errors import raise_translated
from taskflow_system import SystemChance, SystemClock, Uuid7

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


def make_passwords(settings: Settings) -> BcryptPasswords:
    """Return what hashes passwords, with threads of its own."""
    return BcryptPasswords(cost=settings.password_cost, threads=settings.password_threads)


def make_common_passwords() -> ZxcvbnPasswords:
    """Return what knows the passwords that nobody may choose, those of the demo among them."""
    return ZxcvbnPasswords(user.password for user in DEMO_USERS)


def make_grace(settings: Settings) -> timedelta:
    """Return how long a replaced refresh token still gets the current one."""
    return timedelta(seconds=settings.refresh_grace)


@dataclass(frozen=True, slots=True)
class Tools:
    """What use cases need beside a store."""

    settings: Settings
    passwords: PasswordHasher
    common: CommonPasswords
    tokens: AccessTokens
    refresh_tokens: RefreshTokens
    clock: Clock
    ids: Ids
    chance: Chance

    @classmethod
    def of(cls, settings: Settings, passwords: PasswordHasher | None = None) -> Tools:
        """Return tools of these settings; the caller that gives `passwords` closes it."""
        return cls(
            settings, passwords or make_passwords(settings), make_common_passwords(),
            make_tokens(settings), make_refresh_tokens(settings), SystemClock(), Uuid7(), SystemChance(),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedUseCases(UseCases):
    """The use cases inside a transaction of a host's.

    Jobs that are due are not done there, since a claim holds only once it is committed.

    Attributes:
        transactions: Units of work in it, for jobs of the host's own.
        after_commit: To be awaited once the host has committed: it wakes workers. Where that never happens
            the scheduler does it some seconds later.
    """

    transactions: Transactions
    after_commit: Callable[[], Coroutine[Any, Any, None]]


def make_engine(settings: Settings) -> AsyncEngine:
    """Return an engine; the caller disposes of it.

    Raises:
        SettingsError: There is no address, or it cannot be used.
    """
    settings.require("database_url")
    try:
        return open_engine(
            settings.database_url,
            pool_size=settings.database_pool_size,
            statement_timeout=settings.statement_timeout,
        )
    except ValueError as error:
        raise SettingsError([f"{variable('database_url')} {error}."]) from error


def use_cases_over(
    engine: AsyncEngine, tools: Tools, queue: Queue, notifier: Notifier, handlers: Mapping[str, Handler]
) -> UseCases:
    """Return the use cases on connections of an engine; `handlers` do kinds of jobs beside TaskFlow's own."""
    reads = SqlAlchemyReads(engine)
    return UseCases.over(
        transactions=SqlAlchemyTransactions(engine, queue, make_quota(tools.settings)),
        task_reads=reads,
        user_reads=reads,
        session_reads=SqlAlchemySessionReads(engine),
        identities=SqlAlchemyIdentities(engine),
        attempts=make_attempts(engine, tools.settings),
        passwords=tools.passwords,
        common=tools.common,
        tokens=tools.tokens,
        refresh_tokens=tools.refresh_tokens,
        clock=tools.clock,
        ids=tools.ids,
        claims=SqlAlchemyClaims(engine),
        ledger_reads=SqlAlchemyLedgerReads(engine),
        queue=queue,
        notifier=notifier,
        chance=tools.chance,
        refresh_grace=make_grace(tools.settings),
        handlers=handlers,
        redact=_redact,
    )


def _redact(text: str) -> str:
    from taskflow_http.redaction import redacted  # noqa: PLC0415 - 0.2 s that who runs no jobs need not spend

    return redacted(text)


def use_cases_on(connection: AsyncConnection, tools: Tools, queue: Queue) -> JoinedUseCases:
    """Return the use cases inside the transaction that a host has open on `connection`.

    Nothing is tried again there: whether a transaction that lost a race goes on is for its owner to say.
    """
    reads = SqlAlchemyReads.joined(connection)
    transactions = SqlAlchemyTransactions.joined(connection, queue, make_quota(tools.settings))
    inside = UseCases.over(
        transactions=transactions,
        task_reads=reads,
        user_reads=reads,
        session_reads=SqlAlchemySessionReads.joined(connection),
        identities=SqlAlchemyIdentities.joined(connection),
        attempts=make_attempts(connection, tools.settings),
        passwords=tools.passwords,
        common=tools.common,
        tokens=tools.tokens,
        refresh_tokens=tools.refresh_tokens,
        clock=tools.clock,
        ids=tools.ids,
        claims=_NotInside(),
        ledger_reads=SqlAlchemyLedgerReads.joined(connection),
        queue=queue,
        notifier=_NotInside(),
        chance=tools.chance,
        refresh_grace=make_grace(tools.settings),
    )
    taken = {field.name: getattr(inside, field.name) for field in fields(inside)}
    return JoinedUseCases(**taken, transactions=transactions, after_commit=transactions.after_commit)


class _NotInside:
    """Stands for what jobs are done with, where none is."""

    async def __call__(self, *_: object, **__: object) -> None:
        raise RuntimeError("A job is claimed and done in transactions of its own, not in a host's.")

    async def send(self, *_: object, **__: object) -> None:
        await self()


def make_quota(settings: Settings) -> Quota:
    """Return what one account may keep."""
    return Quota.of(settings.quota_tasks, settings.quota_bytes)


def make_attempts(source: AsyncEngine | AsyncConnection, settings: Settings) -> LoginAttempts:
    """Return what counts tries to log in: on connections of an engine, or inside a host's transaction."""
    if not settings.jwt_secret:
        return NoSecret(settings)
    key = attempts_key(settings)
    if isinstance(source, AsyncEngine):
        return SqlAlchemyLoginAttempts(source, key)
    return SqlAlchemyLoginAttempts.joined(source, key)


@asynccontextmanager
async def one_transaction(engine: AsyncEngine, tools: Tools, queue: Queue) -> AsyncIterator[UseCases]:
    """Yield the use cases inside one transaction, committed at the end; what is raised takes all of it back.

    Raises:
        Unavailable: The connection or the commit failed; nothing was kept.
    """
    try:
        async with engine.connect() as shared:
            connection = await shared.execution_options(isolation_level="READ COMMITTED")
            try:
                async with connection.begin():
                    joined = use_cases_on(connection, tools, queue)
                    yield joined
            except Unavailable:
                # Its server may not be the primary any more: nobody is to use it again.
                await shared.invalidate()
                raise
    except Exception as error:
        raise_translated(error)
        raise
    await joined.after_commit()
