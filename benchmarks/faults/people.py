"""Who sends the requests: accounts with sessions that last for the whole run."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import psycopg

from taskflow_core import Role
from taskflow_core.ports.security import TokenClaims
from taskflow_security import BcryptPasswords, JwtTokens
from taskflow_system import SystemClock, Uuid7

PASSWORD: Final = "the first password of a benchmark"
_COST: Final = 10
_USER: Final = (
    "INSERT INTO users (id, email, name, password_hash, role, active, created_at, updated_at, version, "
    "password_version, notifications) VALUES (%s, %s, 'Somebody', %s, %s, true, now(), now(), 1, 1, %s)"
)
_SESSION: Final = (
    "INSERT INTO sessions (id, user_id, seed, generation, replaced, created_at, last_used_at) "
    "VALUES (%s, %s, %s, 1, '{}', now(), now())"
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in."""

    id: UUID
    email: str
    token: str


@dataclass(frozen=True, slots=True)
class People:
    """Everybody.

    Attributes:
        users: One for each client.
        quiet: Has opted out of notices.
        keeper: Changes a password again and again.
        shared: Whose tasks all clients race for.
    """

    users: list[Person]
    quiet: Person
    keeper: Person
    shared: Person
    manager: Person
    admin: Person


async def make_people(url: str, secret: str, users: int) -> People:
    """Make the accounts."""
    hashed = await BcryptPasswords(cost=_COST).hash(PASSWORD)
    tokens = JwtTokens([secret], issuer="taskflow", audience="taskflow", lifetime=timedelta(hours=12))
    clock, ids = SystemClock(), Uuid7()

    def make(name: str, role: Role = Role.USER, *, notifications: bool = True) -> Person:
        now = clock()
        id, session, email = ids(now), ids(now), f"{name}@example.com"
        connection.execute(_USER, [id, email, hashed, role, notifications])
        connection.execute(_SESSION, [session, id, secrets.token_bytes(32)])
        return Person(id, email, tokens.issue(TokenClaims(id, session), now).value)

    with psycopg.connect(url) as connection:
        return People(
            [make(f"user{number}") for number in range(users)],
            make("quiet", notifications=False),
            make("keeper"),
            make("shared"),
            make("manager", Role.MANAGER),
            make("admin", Role.ADMIN),
        )
