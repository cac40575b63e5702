"""What `taskflow doctor` asks of Redis. INFO only: managed services refuse CONFIG."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from taskflow_core import Unavailable
from taskflow_redis.client import close_client, open_client, ping
from taskflow_redis.errors import translated


@dataclass(frozen=True, slots=True)
class RedisReport:
    """How a server is set up.

    Attributes:
        product: "Valkey" or "Redis".
        eviction: `maxmemory-policy`.
        memory_limit: `maxmemory` in bytes; 0 is none.
        appends: Whether it keeps an append-only file.
        snapshots: Whether a snapshot was ever saved or one is due, as far as INFO shows it.
        last_write_failed: Whether its last attempt to write to disk failed.
        refusal: Why it refuses writes; empty where it accepts them.
    """

    product: str
    version: str
    eviction: str
    memory_limit: int
    appends: bool
    snapshots: bool
    last_write_failed: bool
    refusal: str = ""


async def inspect(url: str, *, deadline: float = 3.0) -> RedisReport:
    """Return how the server at `url` is set up.

    Raises:
        Unavailable: It cannot be reached, refuses us, or is slower than `deadline` seconds.
    """
    client = open_client(url, connections=1)
    try:
        with translated():
            async with asyncio.timeout(deadline):
                info: dict[str, Any] = await client.info()
        return _report(info, await _refusal(client, deadline))
    finally:
        await close_client(client)


async def _refusal(client: Redis, deadline: float) -> str:
    try:
        await ping(client, deadline=deadline)
    except Unavailable as error:
        return str(error)
    return ""


def _report(info: dict[str, Any], refusal: str) -> RedisReport:
    valkey = info.get("valkey_version")
    statuses = (info.get("rdb_last_bgsave_status"), info.get("aof_last_write_status"))
    return RedisReport(
        product="Valkey" if valkey else "Redis",
        version=str(valkey or info.get("redis_version", "unknown")),
        eviction=str(info.get("maxmemory_policy", "unknown")),
        memory_limit=int(info.get("maxmemory", 0)),
        appends=bool(info.get("aof_enabled", 0)),
        # After a start that loaded or will save a snapshot this is not zero; INFO tells no more of it.
        snapshots=int(info.get("rdb_saves", 0)) > 0,
        last_write_failed="err" in statuses,
        refusal=refusal,
    )
