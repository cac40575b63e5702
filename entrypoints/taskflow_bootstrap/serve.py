"""Runs the API: uvicorn in one process, or in several that each listen for themselves (SO_REUSEPORT)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import uvicorn

from taskflow_bootstrap.application import addresses, create_application, http_options
from taskflow_bootstrap.container import Container, close
from taskflow_bootstrap.descriptors import Descriptors
from taskflow_bootstrap.listening import address_of, bind, described, reserve
from taskflow_bootstrap.logs import configure_logs
from taskflow_bootstrap.notifying import make_notifier
from taskflow_bootstrap.processes import Child, Processes
from taskflow_bootstrap.running import run, stop_asked
from taskflow_bootstrap.settings import Settings
from taskflow_http.protocol import protocol_class

DRAIN_SECONDS: Final = 10
"""How long requests in flight may take to end once a stop is asked for."""
_KILL_AFTER_SECONDS: Final = DRAIN_SECONDS + 3


def serve(
    settings: Settings, *, processes: int, on_ready: Callable[[str], None], tell: Callable[[str], None]
) -> int:
    """Serve the API until SIGTERM or Ctrl-C; return the exit code.

    Args:
        settings: With addresses and secret.
        processes: How many serve; with more than one they are watched and started again.
        on_ready: Gets where it listens (`listening.described`) once requests are answered.
        tell: Takes what is worth knowing while it runs, and waits for nobody who reads it (`logs.saying`).

    Raises:
        StartError: It cannot start.
    """
    settings.require("database_url", "redis_url", "jwt_secret")
    if processes == 1:
        with bind(settings.host, settings.port) as own:
            run(_serve_until_signal(settings, own, partial(on_ready, described(own))))
        return 0
    # What is wrong with it would end each process as soon as it is forked: from there nobody could be told.
    make_notifier(settings)
    with reserve(settings.host, settings.port) as reserved:
        host, port = address_of(reserved)

        def work(child: Child) -> int:
            own = bind(host, port, shared=True)
            run(_serve_until_signal(settings, own, child.ready, child.lifeline))
            return 0

        ready = partial(on_ready, described(reserved))
        return Processes(work, processes, _KILL_AFTER_SECONDS, ready, tell).run()


async def _serve_until_signal(
    settings: Settings, listening: socket.socket, on_ready: Callable[[], None], lifeline: int | None = None
) -> None:
    configure_logs(settings)
    container = Container(settings=settings)
    with stop_asked(lifeline) as stop:
        try:
            await serve_api(container, listening, stop=stop, on_ready=on_ready, drain=DRAIN_SECONDS)
        finally:
            await close(container)


async def serve_api(
    container: Container,
    listening: socket.socket,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
    drain: int,
) -> None:
    """Answer requests until `stop` is set, then give those in flight `drain` seconds."""
    config = uvicorn.Config(
        create_application(container),
        loop="uvloop",
        http=protocol_class(http_options(container.settings()), addresses(container)),
        # Whom to believe about clients' addresses is TASKFLOW_TRUSTED_PROXIES' to say; uvicorn believes
        # whoever comes from 127.0.0.1.
        proxy_headers=False,
        ws="none",
        lifespan="on",
        # The application logs requests itself, and its configuration of logs is the process's.
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=drain,
    )
    server = _Server(config, on_ready)
    stopper = asyncio.create_task(_stop(server, stop))
    try:
        await server.serve(sockets=[listening])
    finally:
        stopper.cancel()


async def _stop(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers, which raise the signal again when done; there is more to stop."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._descriptors = Descriptors()

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._descriptors.check()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            # What start-up made stays for good. A full collection that looks at all of it again stops
            # every request for tens of milliseconds.
            gc.collect()
            gc.freeze()
            self._on_ready()
