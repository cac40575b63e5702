"""The HTTP server over a world in memory, in the loop of a test or in a thread with uvloop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
import uvloop

from support.http_world import ADDRESSES, World, open_world
from taskflow_http import HttpOptions, protocol_class

DEFAULTS = HttpOptions()


def make_server(app: Any, options: HttpOptions, idle: int) -> uvicorn.Server:
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", ws="none", proxy_headers=False,
        server_header=False, http=protocol_class(options, ADDRESSES), timeout_keep_alive=idle,
    )  # fmt: skip
    return uvicorn.Server(config)


async def started(server: uvicorn.Server) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn tells by this alone
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(app: Any, options: HttpOptions, idle: int) -> AsyncIterator[tuple[int, uvicorn.Server]]:
    """Serve an application as `taskflow serve` does, in this loop; give the port and the server."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = make_server(app, options, idle)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await started(server)
    try:
        yield listener.getsockname()[1], server
    finally:
        server.should_exit = True
        await task


@dataclass
class Threaded:
    """A world that is served in a thread with uvloop."""

    world: World
    port: int
    server: uvicorn.Server

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


@contextmanager
def threaded(options: HttpOptions = DEFAULTS, idle: int = 60) -> Iterator[Threaded]:
    """Serve a world in a thread, by uvloop as in production."""
    up, down = threading.Event(), threading.Event()
    found: list[Threaded] = []

    async def serve() -> None:
        async with (
            open_world() as world,
            running(world.app(options=options), options, idle) as (port, server),
        ):
            found.append(Threaded(world, port, server))
            up.set()
            await asyncio.to_thread(down.wait)

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert up.wait(60)
        yield found[0]
    finally:
        down.set()
        thread.join()
