"""Runs a coroutine as the whole of a process, and tells it when to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvloop

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on uvloop until it ends."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


@contextmanager
def stop_asked(lifeline: int | None = None) -> Iterator[asyncio.Event]:
    """Yield what is set by a signal, or once the process that watches this one is gone.

    Args:
        lifeline: See `processes.Child`; None where nobody watches.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        # What is ignored stays so: nohup says it by SIGHUP, and a watcher by SIGINT.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        loop.add_reader(lifeline, stop.set)
    try:
        yield stop
    finally:
        if lifeline is not None:
            loop.remove_reader(lifeline)
