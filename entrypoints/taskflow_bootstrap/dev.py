"""`taskflow dev`: PostgreSQL, Valkey, migrations, demo accounts, API, worker and scheduler.

All in one process and its two servers, so that whoever kills it with -9 leaves nobody behind: the servers
notice. Order of starting: the data directory, then the port, since both may be somebody else's; then the
servers, then the API on them, and once that answers the worker and the scheduler beside it.
Stopping is the reverse, and takes less than 5 s: 2 for requests and jobs in flight, 2.5 for the servers.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from taskflow_bootstrap.dev_servers import Servers, data_directory, signing_secret
from taskflow_bootstrap.listening import bind, is_local, other_urls, url_of
from taskflow_bootstrap.settings import Settings

if TYPE_CHECKING:
    from taskflow_bootstrap.demo import Seeded

DRAIN_SECONDS: Final = 2
_WATCH_SECONDS: Final = 0.5
_STOP: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Running:
    """Where everything is.

    Attributes:
        is_exposed: Whether other machines may reach the API.
        other_urls: By which they may, as far as is known.
        seeded: The accounts that this start made.
        seconds: From the beginning until ready.
    """

    api_url: str
    is_exposed: bool
    other_urls: tuple[str, ...]
    database_url: str
    redis_url: str
    data_dir: Path
    seeded: list[Seeded]
    seconds: float


def run_dev(
    settings: Settings,
    data_dir: Path,
    *,
    tell: Callable[[str], None],
    on_ready: Callable[[Running], None],
) -> None:
    """Run everything until SIGTERM, SIGHUP or Ctrl-C.

    Args:
        settings: Host, port, limits and logs; addresses and secret are the data directory's own.
        data_dir: Made when it is not there.
        tell: Takes a sentence about what happens.
        on_ready: Called once the API answers.

    Raises:
        StartError: It cannot start, or a server that ended could not be started again.
        KeyboardInterrupt: It was stopped before it was ready.
    """
    began = time.monotonic()
    for number in _STOP:
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as stack:
        home = stack.enter_context(data_directory(data_dir))
        listening = stack.enter_context(bind(settings.host, settings.port))
        if not (home.path / "postgres").exists():
            tell(f"Making a database in {home.path}; this takes a few seconds, once.")
        servers = Servers.of(home.path)
        stack.callback(servers.stop)
        servers.start()
        own = msgspec.structs.replace(
            settings,
            database_url=servers.database_url,
            redis_url=servers.redis_url,
            jwt_secret=(signing_secret(home.path),),
        )

        def ready(seeded: list[Seeded]) -> None:
            seconds = time.monotonic() - began
            running = Running(
                url_of(listening), not is_local(listening), other_urls(listening),
                own.database_url, own.redis_url, home.path, seeded, seconds,
            )  # fmt: skip
            home.publish(
                {
                    "apiUrl": running.api_url,
                    "databaseUrl": own.database_url,
                    "redisUrl": own.redis_url,
                    "jwtSecret": own.jwt_secret[0],
                }
            )
            on_ready(running)

        from taskflow_bootstrap.running import run  # noqa: PLC0415 - a taken port or directory is told before

        run(_Dev(own, listening, servers, tell, ready).run())


@dataclass(slots=True)
class _Dev:
    """What runs on the servers, once these answer."""

    settings: Settings
    listening: socket.socket
    servers: Servers
    tell: Callable[[str], None]
    ready: Callable[[list[Seeded]], None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        for number in _STOP:
            asyncio.get_running_loop().add_signal_handler(number, self.stop.set)
        seeded = await self._unless_stopped(self._prepare())
        await self._serve(seeded)

    async def _unless_stopped(self, work: Coroutine[Any, Any, list[Seeded]]) -> list[Seeded]:
        working, stopping = asyncio.create_task(work), asyncio.create_task(self.stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await asyncio.wait((working,))
            raise KeyboardInterrupt
        stopping.cancel()
        return working.result()

    async def _prepare(self) -> list[Seeded]:
        from taskflow_bootstrap.container import Container, close  # noqa: PLC0415 - as above
        from taskflow_bootstrap.demo import is_empty, seed  # noqa: PLC0415 - as above
        from taskflow_bootstrap.migrations import migrate  # noqa: PLC0415 - as above

        await migrate(self.settings, wait=10.0, tell=self.tell)
        container = Container(settings=self.settings)
        try:
            return await seed(container, known_passwords=True) if await is_empty(container) else []
        finally:
            await close(container)

    async def _serve(self, seeded: list[Seeded]) -> None:
        from taskflow_bootstrap.container import Container, close  # noqa: PLC0415 - as above
        from taskflow_bootstrap.logs import configure_dev_logs  # noqa: PLC0415 - as above
        from taskflow_bootstrap.serve import serve_api  # noqa: PLC0415 - as above

        configure_dev_logs(self.settings)
        container = Container(settings=self.settings)
        beside = [asyncio.create_task(self._watch())]

        def on_ready() -> None:
            self.ready(seeded)
            beside.append(asyncio.create_task(self._work()))

        try:
            await serve_api(container, self.listening, stop=self.stop, on_ready=on_ready, drain=DRAIN_SECONDS)
        finally:
            self.stop.set()
            beside[0].cancel()
            await asyncio.wait(beside)
            await close(container)
        for task in beside:
            if not task.cancelled():
                task.result()

    async def _work(self) -> None:
        """Do jobs and see what falls due; where that fails, stop everything."""
        # In a thread, and not before the API answers: half a second that nobody needs to wait for.
        work = await asyncio.to_thread(import_module, "taskflow_bootstrap.work")
        try:
            await work.work_beside(self.settings, stop=self.stop, drain=DRAIN_SECONDS)
        finally:
            self.stop.set()

    async def _watch(self) -> None:
        """Start again what has ended; where that fails, stop everything."""
        try:
            while True:
                await asyncio.sleep(_WATCH_SECONDS)
                await asyncio.to_thread(self.servers.revive, self.tell)
        finally:
            self.stop.set()
