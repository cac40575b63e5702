"""Runs a coroutine as the whole of a process, and tells it when to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvloop

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LEAVE_SECONDS: Final = 1.0
"""How long tasks may take to end that are left when the work is done."""


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on uvloop until it ends; tasks that it left behind hold up nobody for long."""
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    try:
        runner.run(work)
    finally:
        # A runner waits for ever for a task that swallows its cancellation: its loop is left open then.
        if runner.run(_cancel_others()):
            runner.close()


async def _cancel_others() -> bool:
    """Return whether all other tasks have ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    return not others or not (await asyncio.wait(others, timeout=LEAVE_SECONDS))[1]


@contextmanager
def stop_asked(lifeline: int | None = None) -> Iterator[asyncio.Event]:
    """Yield what is set by a signal, or once the process that watches this one is gone.

    A signal that came before is heard, where it was blocked until now.

    Args:
        lifeline: See `processes.Child`; None where nobody watches.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        # What is ignored stays so: nohup says it by SIGHUP, and a watcher by SIGINT.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    if lifeline is not None:
        loop.add_reader(lifeline, stop.set)
    try:
        yield stop
    finally:
        if lifeline is not None:
            loop.remove_reader(lifeline)
