"""Several processes of the same work, forked from one that does nothing but watch them.

What dies is started again. SIGTERM or Ctrl-C asks all to end, and whoever is not done by the deadline
is killed. A process that loses its watcher, by `kill -9` too, ends by itself: it holds the other end of
a pipe.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias

Work: TypeAlias = Callable[[int, Callable[[], None]], int]
"""Gets a descriptor that becomes readable when the watcher is gone, and what to call once ready; returns
the exit code."""

RESTART_SECONDS: Final = 1.0
"""At least so long after the start of one that died comes the next."""
_STOP: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


@dataclass(slots=True)
class Processes:
    """Keeps `count` processes running.

    Attributes:
        work: What each does.
        drain: Seconds that all together have to end.
        on_ready: Called once all are ready for the first time.
        tell: Takes a sentence about one that died.
    """

    work: Work
    count: int
    drain: float
    on_ready: Callable[[], None]
    tell: Callable[[str], None]
    _started: dict[int, float] = field(default_factory=dict)
    _due: list[float] = field(default_factory=list)
    _was_ready: bool = False
    _kill_at: float | None = None

    def run(self) -> int:
        """Return the exit code once all have ended: 0 where that was asked for."""
        lifeline, held = os.pipe()
        ready, tells_ready = os.pipe()
        wake = _wake_on(*_STOP, signal.SIGCHLD)
        self._due = [0.0] * self.count
        failed = False
        while self._started or self._due:
            self._start_due(lifeline, held, tells_ready, wake)
            select.select([wake, ready], [], [], self._patience())
            self._stop_when(bool(_drained(wake) & _STOP))
            self._hear_ready(ready)
            failed = self._reap() or failed
            self._stop_when(failed)
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._signal(signal.SIGKILL)
        return 1 if failed else 0

    def _start_due(self, lifeline: int, held: int, tells_ready: int, wake: int) -> None:
        now = time.monotonic()
        for at in [at for at in self._due if at <= now]:
            self._due.remove(at)
            pid = os.fork()
            if pid == 0:
                os.close(held)
                os.close(wake)
                _work(self.work, lifeline, tells_ready)
            self._started[pid] = now

    def _hear_ready(self, ready: int) -> None:
        if self._was_ready or not select.select([ready], [], [], 0)[0]:
            return
        # One byte each; nobody writes more until all are counted.
        self._count_ready += len(os.read(ready, self.count))
        if self._count_ready >= self.count:
            self._was_ready = True
            self.on_ready()

    _count_ready: int = 0

    def _reap(self) -> bool:
        """Note who ended; return whether that means that they cannot be started at all."""
        for pid in list(self._started):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            started = self._started.pop(pid)
            if self._kill_at is None:
                if not self._was_ready:
                    return True
                self.tell(f"Process {pid} ended ({_why(status)}) and is started again.")
                self._due.append(max(time.monotonic(), started + RESTART_SECONDS))
        return False

    def _stop_when(self, wanted: bool) -> None:
        if wanted and self._kill_at is None:
            self._kill_at = time.monotonic() + self.drain
            self._due.clear()
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._started:
            os.kill(pid, number)

    def _patience(self) -> float | None:
        moments = [*self._due, *([self._kill_at] if self._kill_at is not None else [])]
        return max(0.0, min(moments) - time.monotonic()) if moments else None


def _work(work: Work, lifeline: int, tells_ready: int) -> NoReturn:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Ctrl-C goes to the whole terminal; the watcher passes it on as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = 1
    try:
        code = work(lifeline, lambda: _write_byte(tells_ready))
    except BaseException as error:  # noqa: BLE001 - a forked child must not return into its parent's code
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _write_byte(descriptor: int) -> None:
    os.write(descriptor, b"r")


def _wake_on(*signals: signal.Signals) -> int:
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in signals:
        # A handler must stand for the wake-up to be written; what it means is read from there.
        signal.signal(number, lambda *_: None)
    return readable


def _drained(wake: int) -> set[int]:
    return set(os.read(wake, 1024)) if select.select([wake], [], [], 0)[0] else set()


def _why(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
