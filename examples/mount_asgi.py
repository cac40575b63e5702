"""TaskFlow's HTTP API inside a Starlette application; FastAPI mounts it by the same two lines.

Run it on a database of yours (it makes TaskFlow's tables), then serve `application` by any ASGI server:
    python examples/mount_asgi.py postgresql://user:password@host/database
"""

import asyncio
import secrets
import sys
from uuid import uuid4

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from taskflow_bootstrap.asgi import asgi
from taskflow_bootstrap.settings import Settings
from taskflow_sqlalchemy import migrate


async def hello(_: Request) -> PlainTextResponse:
    """Answer a path of the host's own."""
    return PlainTextResponse("hello")


def application(database_url: str) -> Starlette:
    """Return a host with TaskFlow under /taskflow."""
    taskflow = asgi(Settings(database_url=database_url, jwt_secret=(secrets.token_urlsafe(48),)))
    routes = [Route("/hello", hello), Mount("/taskflow", taskflow)]
    return Starlette(routes=routes, lifespan=taskflow.lifespan)


async def main(url: str) -> None:
    """Register somebody and create a task, by the host's address."""
    await migrate(url)
    host = application(url)
    async with (
        host.router.lifespan_context(host),
        httpx.AsyncClient(transport=httpx.ASGITransport(host), base_url="http://host") as client,
    ):
        assert (await client.get("/hello")).text == "hello"
        new = {"email": f"ada-{uuid4()}@example.com", "name": "Ada", "password": f"{uuid4()}"}
        registered = await client.post("/taskflow/auth/register", json=new)
        headers = {"Authorization": f"Bearer {registered.json()['access_token']}"}
        created = await client.post("/taskflow/tasks", json={"title": "Call back"}, headers=headers)
        print("created:", created.headers["location"].rpartition("/")[0])
        task = await client.get(created.headers["location"], headers=headers)
        print("title:", task.json()["title"])
        document = (await client.get("/taskflow/openapi.json")).json()
        print("server:", document["servers"][0]["url"])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
