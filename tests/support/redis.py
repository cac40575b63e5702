"""Redis for tests: limits over it as in production, and what a test does to the server itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from taskflow_redis import Batches, RedisRateLimits

PATIENCE: Final = 60.0
"""Seconds: longer than anything takes on a busy machine."""


@asynccontextmanager
async def redis_batches(url: str, *, deadline: float = PATIENCE) -> AsyncIterator["Batches"]:
    """Batches over a client as a process has one, but for how long both wait."""
    from taskflow_redis import Batches, close_client

    client = patient_client(url)
    batches = Batches(client, deadline=deadline)
    try:
        yield batches
    finally:
        await batches.aclose()
        await close_client(client)


@asynccontextmanager
async def redis_rate_limits(url: str, *, deadline: float = PATIENCE) -> AsyncIterator["RedisRateLimits"]:
    from taskflow_redis import RedisRateLimits

    async with redis_batches(url, deadline=deadline) as batches:
        yield RedisRateLimits(batches)


def patient_client(url: str) -> "Redis":
    """The client of a process; who is late by a second or two is not away, nor asked the same once more."""
    from redis.asyncio import BlockingConnectionPool

    from taskflow_redis import open_client

    client = open_client(url)
    pool = client.connection_pool
    assert isinstance(pool, BlockingConnectionPool)
    pool.timeout = PATIENCE
    pool.connection_kwargs.update(socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
    return client
