"""The API inside another ASGI application."""

import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from taskflow_bootstrap.asgi import Mounted, asgi
from taskflow_bootstrap.errors import SettingsError
from taskflow_bootstrap.settings import Settings
from taskflow_core import Rate

SECRET = "s3cret-of-the-tests-0123456789-abcdefgh"
NEW = {"email": "ada@example.com", "name": "Ada", "password": "correct horse battery"}


@asynccontextmanager
async def client_of(application: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        yield client


@pytest.fixture
def taskflow(database_url: str) -> Mounted:
    return asgi(Settings(database_url=database_url, jwt_secret=(SECRET,), password_cost=10))


@pytest.mark.parametrize("prefix", ["/taskflow", "/a/b", "/with space"])
async def test_everything_leads_back_under_the_prefix(taskflow: Mounted, prefix: str) -> None:
    host = Starlette(routes=[Mount(prefix, taskflow)])
    async with taskflow.lifespan(host), client_of(host) as client:
        registered = await client.post(f"{prefix}/auth/register", json=NEW)
        assert registered.status_code == 201, registered.text
        assert (await client.get(registered.headers["location"])).status_code == 401
        headers = {"Authorization": f"Bearer {registered.json()['access_token']}"}
        created = await client.post(f"{prefix}/tasks", json={"title": "x"}, headers=headers)
        again = await client.get(created.headers["location"], headers=headers)
        assert again.json()["title"] == "x"
        await client.post(f"{prefix}/tasks", json={"title": "y"}, headers=headers)
        page = httpx.URL(f"http://host{prefix}/api")
        for part in ("api/static/start.js", "openapi.json"):
            assert (await client.get(page.join(part))).status_code == 200
        (server,) = (await client.get(page.join("openapi.json"))).json()["servers"]
        assert (await client.get(f"{server['url']}/tasks", headers=headers)).status_code == 200
        first = await client.get(f"{prefix}/tasks?limit=1", headers=headers)
        rest = await client.get(first.url.join(first.links["next"]["url"]), headers=headers)
        assert [task["title"] for task in rest.json()["data"]] == ["x"]
        ready = await client.get(f"{prefix}/health/ready")
        assert (ready.status_code, list(ready.json()["checks"])) == (200, ["postgresql"])
        # The host's own path stays the host's.
        assert (await client.get("/tasks")).status_code == 404


async def test_a_path_that_clients_choose_writes_no_header_of_its_own(taskflow: Mounted) -> None:
    host = Starlette(routes=[Mount("/{tenant}", taskflow)])
    async with taskflow.lifespan(), client_of(host) as client:
        answer = await client.post("/x%0d%0aSet-Cookie:%20a=b/auth/register", json=NEW)
        assert answer.status_code == 201
        assert "\n" not in answer.headers["location"]


async def test_it_opens_by_itself_and_again_after_its_end(taskflow: Mounted) -> None:
    async with client_of(Starlette(routes=[Mount("/t", taskflow)])) as client:
        assert (await client.get("/t/health/ready")).status_code == 200
        async with taskflow.lifespan():
            assert (await client.get("/t/health/ready")).status_code == 200
        assert (await client.get("/t/health/ready")).status_code == 200
    async with taskflow.lifespan():
        pass


async def test_limits_hold_without_redis(database_url: str) -> None:
    rated = Settings(database_url=database_url, jwt_secret=(SECRET,), rate_limit_login=Rate(2, 60))
    taskflow = asgi(rated)
    async with taskflow.lifespan(), client_of(taskflow) as client:
        login = {"email": "nobody@example.com", "password": "wrong"}
        answers = [(await client.post("/auth/login", json=login)).status_code for _ in range(3)]
    assert answers == [401, 401, 429]


def test_the_hosts_logging_stays_as_it_is() -> None:
    code = """
import asyncio, logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="host %(name)s %(levelname)s %(message)s")
def state():
    names = ("", "uvicorn", "uvicorn.error", "uvicorn.access")
    return [(l.handlers[:], l.level, l.propagate, l.disabled) for l in map(logging.getLogger, names)]
before = state()
from taskflow_bootstrap.asgi import asgi
from taskflow_bootstrap.settings import Settings
import httpx
taskflow = asgi(Settings(database_url="postgresql://localhost:1/x", jwt_secret="s" * 40))
async def main():
    transport = httpx.ASGITransport(taskflow)
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        return (await client.get("/health/live")).status_code
assert asyncio.run(main()) == 200
assert state() == before
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    (line,) = [line for line in ended.stderr.splitlines() if "taskflow_http" in line]
    assert line.startswith("host taskflow_http INFO event='request' method='GET' route='/health/live'")


def test_settings_that_a_program_gives_are_read_as_variables_are() -> None:
    given = Settings(
        jwt_secret=f"{SECRET}, {SECRET[::-1]}",  # type: ignore[arg-type]  # what people write
        trusted_proxies="10.0.0.0/8",  # type: ignore[arg-type]
        cors_origins="https://a.example",  # type: ignore[arg-type]
        rate_limit_login="7/hour",  # type: ignore[arg-type]
        rate_limit_api="off",  # type: ignore[arg-type]
        hsts="on",  # type: ignore[arg-type]
    )
    assert given.jwt_secret == (SECRET, SECRET[::-1])
    assert (given.trusted_proxies, given.cors_origins) == (("10.0.0.0/8",), ("https://a.example",))
    assert (given.rate_limit_login, given.rate_limit_api, given.hsts) == (Rate(7, 3600), None, True)
    assert Settings(jwt_secret="").jwt_secret == ()  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="TASKFLOW_JWT_SECRET must have 32 bytes"):
        Settings(jwt_secret="short")  # type: ignore[arg-type]
    assert logging.getLogger("taskflow_http").level == logging.NOTSET


def test_what_is_missing_is_said_when_it_is_put_together() -> None:
    with pytest.raises(SettingsError, match="TASKFLOW_DATABASE_URL") as raised:
        asgi(Settings())
    assert "TASKFLOW_JWT_SECRET" in str(raised.value)
    assert "REDIS" not in str(raised.value)


def test_addresses_that_cannot_be_used_are_told_when_it_is_put_together() -> None:
    wrong = Settings(
        database_url="postgresql://db/x?schema=y", redis_url="redis://cache?foo=bar", jwt_secret=(SECRET,)
    )
    with pytest.raises(SettingsError) as caught:
        asgi(wrong)
    assert "TASKFLOW_DATABASE_URL has a parameter" in str(caught.value)
    assert "TASKFLOW_REDIS_URL has an option" in str(caught.value)
