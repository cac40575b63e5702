"""The HTTP API inside another ASGI application (FastAPI, Starlette, …), at whatever path it is mounted.

::

    taskflow = asgi(Settings(database_url="postgresql://…", jwt_secret=("…",)))
    app = FastAPI(lifespan=taskflow.lifespan)
    app.mount("/taskflow", taskflow)

It keeps to itself: no handler, no level and no signal of the process is changed. Redis is optional; without
it each process counts the rate limits by itself. The database is migrated by `taskflow migrate`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from taskflow_bootstrap.application import create_application
from taskflow_bootstrap.container import Container, close
from taskflow_bootstrap.settings import Settings
from taskflow_http.logs import use_standard_logging

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Mounted:
    """The HTTP API, which opens its connections when it is first asked, or when `lifespan` is entered.

    It belongs to the event loop that uses it first.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._container: Container | None = None
        self._application: ASGIApp | None = None
        self._opening = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run as the whole of a server's application."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
            return
        application = self._application or await self._open()
        await application(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncIterator[None]:
        """Open what the API needs, and close it in the end; of the host's application nothing is asked.

        A host that never enters it leaves the connections to the end of the process.
        """
        await self._open()
        try:
            yield
        finally:
            container, self._container, self._application = self._container, None, None
            if container is not None:
                await close(container)

    async def _open(self) -> ASGIApp:
        async with self._opening:
            if self._application is None:
                self._container = Container(settings=self._settings)
                await asyncio.to_thread(self._container.common().load)
                self._application = create_application(self._container)
            return self._application

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.lifespan():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def asgi(settings: Settings) -> Mounted:
    """Return the HTTP API as an ASGI application to mount; see the module's docstring.

    Its lines go to the standard library's loggers `taskflow_http` and the like, unless the host has set up
    structlog, which then gets them.

    Raises:
        SettingsError: The database's address or the signing secret is not given, or an address cannot be
            used.
    """
    settings.require("database_url", "jwt_secret")
    settings.check_addresses()
    use_standard_logging()
    return Mounted(settings)
