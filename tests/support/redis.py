"""Redis for tests: limits over it as in production, and what a test does to the server itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskflow_redis import Batches, RedisRateLimits


@asynccontextmanager
async def redis_batches(url: str, *, deadline: float = 10.0) -> AsyncIterator["Batches"]:
    """A client as a process has one; by default as patient as a busy machine needs."""
    from taskflow_redis import Batches, close_client, open_client

    client = open_client(url)
    batches = Batches(client, deadline=deadline)
    try:
        yield batches
    finally:
        await batches.aclose()
        await close_client(client)


@asynccontextmanager
async def redis_rate_limits(url: str, *, deadline: float = 10.0) -> AsyncIterator["RedisRateLimits"]:
    from taskflow_redis import RedisRateLimits

    async with redis_batches(url, deadline=deadline) as batches:
        yield RedisRateLimits(batches)
