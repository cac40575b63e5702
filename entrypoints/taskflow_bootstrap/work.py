"""Runs what goes on in the background: workers, in processes that are watched, and the scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from taskflow_bootstrap.container import Container, close
from taskflow_bootstrap.logs import configure_logs
from taskflow_bootstrap.notifying import make_notifier
from taskflow_bootstrap.processes import Child, Processes
from taskflow_bootstrap.running import run, stop_asked
from taskflow_bootstrap.settings import Settings
from taskflow_core import Handler
from taskflow_core.use_cases.bundle import Scan
from taskflow_worker.scheduler import END_SECONDS, run_scheduler
from taskflow_worker.slots import giving_back
from taskflow_worker.worker import run_worker

CONCURRENCY: Final = 4
DRAIN_SECONDS: Final = 10.0
"""How long jobs may take to end once a stop is asked for; then they are given back."""
_CLOSE_SECONDS: Final = 3.0
"""What closing connections takes at most, and leaving tasks that do not end."""
_KILL_WORKER_SECONDS: Final = DRAIN_SECONDS + giving_back(DRAIN_SECONDS) + _CLOSE_SECONDS
_KILL_SCHEDULER_SECONDS: Final = END_SECONDS + _CLOSE_SECONDS
HANG_SECONDS: Final = 30.0
"""What has an event loop that stands still for so long is killed: what it held is another's by then."""


def work(
    settings: Settings,
    *,
    processes: int,
    on_ready: Callable[[], None],
    tell: Callable[[str], None],
    concurrency: int = CONCURRENCY,
    handlers: Mapping[str, Handler] | None = None,
    alive_file: Path | None = None,
) -> int:
    """Do jobs until SIGTERM or Ctrl-C; return the exit code.

    Args:
        settings: With addresses; no secret is needed.
        processes: How many work, watched and started again where they die or hang.
        on_ready: Called once all of them take jobs.
        tell: Takes what is worth knowing while it runs, and waits for nobody who reads it (`logs.saying`).
        concurrency: Jobs at a time in each.
        handlers: For kinds of jobs beside TaskFlow's own.
        alive_file: Touched while every process works, for health checks.

    Raises:
        SettingsError: An address is missing, or how mails are sent is wrong.
    """
    _check(settings)

    def do(child: Child) -> int:
        run(_work(settings, handlers or {}, concurrency, child))
        return 0

    return Processes(do, processes, _KILL_WORKER_SECONDS, on_ready, tell, HANG_SECONDS, alive_file).run()


async def _work(settings: Settings, handlers: Mapping[str, Handler], concurrency: int, child: Child) -> None:
    configure_logs(settings)
    with stop_asked(child.lifeline) as stop:
        async with _container(settings, handlers) as container:
            await run_worker(
                container.use_cases().run_job,
                redis_url=settings.redis_url,
                stop=stop,
                on_ready=child.ready,
                beat=child.beat,
                concurrency=concurrency,
                drain=DRAIN_SECONDS,
            )


def schedule(
    settings: Settings,
    *,
    on_ready: Callable[[], None],
    tell: Callable[[str], None],
    alive_file: Path | None = None,
) -> int:
    """See what falls due until SIGTERM or Ctrl-C; return the exit code.

    Args:
        settings: With addresses; no secret is needed.
        on_ready: Called once it works.
        tell: Takes what is worth knowing while it runs: that it died or hung, and was started again. It
            waits for nobody who reads it (`logs.saying`).
        alive_file: Touched while it works, for health checks.

    Raises:
        SettingsError: An address is missing, or how mails are sent is wrong.
    """
    _check(settings)

    def do(child: Child) -> int:
        run(_schedule(settings, child))
        return 0

    return Processes(do, 1, _KILL_SCHEDULER_SECONDS, on_ready, tell, HANG_SECONDS, alive_file).run()


async def _schedule(settings: Settings, child: Child) -> None:
    configure_logs(settings)
    with stop_asked(child.lifeline) as stop:
        async with _container(settings) as container:
            await run_scheduler(_scans(container), stop=stop, on_ready=child.ready, beat=child.beat)


async def work_beside(settings: Settings, *, stop: asyncio.Event, drain: float) -> None:
    """Do jobs and see what falls due, in an event loop that does other things too, until `stop` is set."""
    async with _container(settings) as container, asyncio.TaskGroup() as group:
        worker = run_worker(
            container.use_cases().run_job,
            redis_url=settings.redis_url,
            stop=stop,
            on_ready=_nothing,
            beat=_nothing,
            concurrency=CONCURRENCY,
            drain=drain,
            is_watched=False,
        )
        group.create_task(worker)
        group.create_task(run_scheduler(scans=_scans(container), stop=stop, on_ready=_nothing))


@asynccontextmanager
async def _container(
    settings: Settings, handlers: Mapping[str, Handler] | None = None
) -> AsyncIterator[Container]:
    container = Container(settings=settings, handlers=handlers or {})
    try:
        yield container
    finally:
        await close(container)


def _check(settings: Settings) -> None:
    """Find here what would end each process as soon as it is forked: from there nobody could be told."""
    settings.require("database_url", "redis_url")
    make_notifier(settings)


def _scans(container: Container) -> dict[str, Scan]:
    do = container.use_cases()
    return {"reconcile": do.reconcile, "overdue": do.notify_overdue, "clean_up": do.schedule_clean_up}


def _nothing() -> None:
    """Nobody waits for it."""
