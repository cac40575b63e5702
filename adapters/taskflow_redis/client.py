"""The one client of a process: bounded in connections, in waiting for one, and in waiting for an answer."""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from taskflow_redis.errors import translated

CONNECT_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 0.5
POOL_WAIT_SECONDS: Final = 0.25
PING_SECONDS: Final = 1.0
HEALTH_KEY: Final = "taskflow:rate:health"
"""Named like the keys of rate limits, so that an ACL for those covers it."""


def open_client(url: str, *, connections: int = 32) -> Redis:
    """Return a client, not yet connected; `close_client` ends it.

    The default pool does not make callers wait but fails them, and the default retries hold a call for
    seconds while Redis is away: so a pool that waits, shortly, and one retry at once, which is enough for
    a connection that died idle.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        connections: The most at a time; who finds none waits up to `POOL_WAIT_SECONDS`.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=POOL_WAIT_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )
    return Redis.from_pool(pool)


async def close_client(client: Redis) -> None:
    """Close all connections; whoever waits for one is failed."""
    await client.aclose()


async def ping(client: Redis, *, deadline: float = PING_SECONDS) -> None:
    """Return once Redis has accepted a write: a replica, or a server without memory or disk, refuses it.

    Args:
        client: Whose server is asked.
        deadline: Seconds for all of it, name resolution and retry too.

    Raises:
        Unavailable: It did not answer, not in time, or refused to write.
    """
    with translated():
        async with asyncio.timeout(deadline):
            await client.set(HEALTH_KEY, b"", px=1000)
