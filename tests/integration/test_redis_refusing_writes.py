"""A Redis that answers and refuses writes: whoever looks after the installation gets to know it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from support.real_api import open_instance, settings_of
from support.redis import patient_client
from taskflow_bootstrap.doctor import Level, examine
from taskflow_redis import close_client

REFUSALS = {
    "too few replicas": ("min-replicas-to-write", "1", "0"),
    "no memory left": ("maxmemory", "1", "0"),
}


@asynccontextmanager
async def refusing(redis_url: str, setting: str, wrong: str, right: str) -> AsyncIterator[None]:
    client = patient_client(redis_url)
    try:
        await client.config_set(setting, wrong)
        assert await client.ping()
        with pytest.raises(ResponseError):
            await client.set("a", "b")
        yield
    finally:
        await client.config_set(setting, right)
        await close_client(client)


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_it_is_degraded_and_the_doctor_says_why(
    database_url: str, redis_url: str, refusal: tuple[str, str, str], tmp_path: Path
) -> None:
    settings = settings_of(database_url, redis_url)
    async with open_instance(settings) as api:
        async with refusing(redis_url, *refusal):
            ready = await api.client.get("/health/ready")
            findings = {
                found.check: found
                async for found in examine(settings, environ={}, env_file=tmp_path / ".env")
            }
        recovered = await api.client.get("/health/ready")

    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["checks"] == {"postgresql": "up", "redis": "down"}
    assert findings["redis"].level is Level.OK
    assert findings["redis writes"].level is Level.FAIL
    assert "ACL" in findings["redis writes"].advice
    assert recovered.json()["status"] == "ok"


async def test_a_user_who_may_only_read_is_one_that_is_refused(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    client = patient_client(redis_url)
    scheme, _, rest = redis_url.partition("://")
    settings = settings_of(database_url, f"{scheme}://reader:secret@{rest}")
    try:
        await client.acl_setuser(
            "reader", enabled=True, passwords=["+secret"], keys=["*"], categories=["+@all", "-@write"]
        )
        async with open_instance(settings) as api:
            ready = await api.client.get("/health/ready")
            findings = [f async for f in examine(settings, environ={}, env_file=tmp_path / ".env")]
    finally:
        await client.acl_deluser("reader")
        await close_client(client)

    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert [found.level for found in findings if found.check == "redis writes"] == [Level.FAIL]
    assert "secret" not in "".join(found.detail + found.advice for found in findings)
