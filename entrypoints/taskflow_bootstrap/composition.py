"""What the container and embedders build alike: no server, no container, no connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from taskflow_bootstrap.settings import Settings
from taskflow_core import UseCases
from taskflow_core.ports.security import AccessToken, AccessTokens, PasswordHasher, TokenClaims
from taskflow_core.ports.time import Clock, Ids
from taskflow_security import BcryptPasswords, JwtTokens
from taskflow_sqlalchemy import SqlAlchemyReads, SqlAlchemyTransactions
from taskflow_sqlalchemy.errors import raise_translated
from taskflow_system import SystemClock, Uuid7

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

ISSUER: Final = "taskflow"


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


def make_passwords(settings: Settings) -> PasswordHasher:
    """Return what hashes passwords, with threads of its own."""
    return BcryptPasswords(cost=settings.password_cost, threads=settings.password_threads)


def make_tokens(settings: Settings) -> AccessTokens:
    """Return what signs and checks tokens."""
    if not settings.jwt_secret:
        return NoTokens(settings)
    lifetime = timedelta(seconds=settings.access_token_lifetime)
    return JwtTokens(settings.jwt_secret, issuer=ISSUER, audience=ISSUER, lifetime=lifetime)


@dataclass(frozen=True, slots=True)
class Tools:
    """What use cases need beside a store."""

    passwords: PasswordHasher
    tokens: AccessTokens
    clock: Clock
    ids: Ids

    @classmethod
    def of(cls, settings: Settings) -> Tools:
        """Return tools of these settings."""
        return cls(make_passwords(settings), make_tokens(settings), SystemClock(), Uuid7())


def use_cases_on(connection: AsyncConnection, tools: Tools) -> UseCases:
    """Return the use cases inside the transaction that a host has open on `connection`.

    Nothing is tried again there: whether a transaction that lost a race goes on is for its owner to say.
    """
    reads = SqlAlchemyReads.joined(connection)
    return UseCases.over(
        transactions=SqlAlchemyTransactions.joined(connection),
        task_reads=reads,
        user_reads=reads,
        passwords=tools.passwords,
        tokens=tools.tokens,
        clock=tools.clock,
        ids=tools.ids,
    )


@asynccontextmanager
async def one_transaction(engine: AsyncEngine, tools: Tools) -> AsyncIterator[UseCases]:
    """Yield the use cases inside one transaction, committed at the end; what is raised takes all of it back.

    Raises:
        Unavailable: The connection or the commit failed; nothing was kept.
    """
    try:
        async with engine.connect() as shared:
            connection = await shared.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                yield use_cases_on(connection, tools)
    except Exception as error:
        raise_translated(error)
        raise
