"""Several processes of the same work, forked from one that does nothing but watch them.

What dies is started again, and so is what hangs, where its work tells that it does not. SIGTERM or Ctrl-C
asks all to end, and whoever is not done by the deadline is killed. A process that loses its watcher, by
`kill -9` too, ends by itself: it holds the other end of a pipe.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from taskflow_http.line_writer import FLUSH_SECONDS, flush_lines

RESTART_SECONDS: Final = 1.0
"""At least so long after the start of one that died comes the next."""
_STOP: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_INDEX_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Child:
    """What a process knows of its watcher.

    SIGTERM is blocked until the process has a handler for it (`running.stop_asked`), so that none is lost.

    Attributes:
        lifeline: A descriptor that becomes readable when the watcher is gone.
        ready: To be called once it is ready.
        beat: To be called more often than every `Processes.hang_seconds`, from the first call on.
    """

    lifeline: int
    ready: Callable[[], None]
    beat: Callable[[], None]


Work: TypeAlias = Callable[[Child], int]
"""What a process does; returns its exit code."""


@dataclass(slots=True)
class _Place:
    """One of the processes, whichever it is at present."""

    index: int
    due: float | None = 0.0
    pid: int | None = None
    started: float = 0.0
    was_ready: bool = False
    was_killed: bool = False


@dataclass(slots=True)
class Processes:
    """Keeps `count` processes running.

    Attributes:
        work: What each does.
        count: How many; one is watched too.
        drain: Seconds that all together have to end.
        on_ready: Called once all are ready for the first time.
        tell: Takes a sentence about one that died or hangs. Neither may wait for who reads it: nobody is
            watched meanwhile (`logs.saying`).
        hang_seconds: One that has beaten once, and then not for so long, is killed and started again;
            None watches nobody's beats.
        alive_file: Touched while every process works and beats, for health checks; about eight times in
            `hang_seconds`.
    """

    work: Work
    count: int
    drain: float
    on_ready: Callable[[], None]
    tell: Callable[[str], None]
    hang_seconds: float | None = None
    alive_file: Path | None = None
    _places: list[_Place] = field(default_factory=list)
    _was_ready: bool = False
    _kill_at: float | None = None
    _beats: memoryview[float] = field(init=False)
    _looked: float = field(default_factory=time.monotonic)
    _judges_at: float = 0.0

    def __post_init__(self) -> None:
        # Shared with the processes: when each beat last, by a clock that is the machine's; 0 for not yet.
        self._beats = memoryview(mmap.mmap(-1, 8 * max(self.count, 1))).cast("d")

    def run(self) -> int:
        """Return the exit code once all have ended: 0 where that was asked for."""
        lifeline, held = os.pipe()
        ready, tells_ready = os.pipe()
        # What is ignored stays so: nohup says it by SIGHUP.
        heard = [number for number in _STOP if signal.getsignal(number) is not signal.SIG_IGN]
        wake = _wake_on(*heard, signal.SIGCHLD)
        self._places = [_Place(index) for index in range(self.count)]
        failed = False
        while any(place.pid is not None or place.due is not None for place in self._places):
            self._start_due(lifeline, held, tells_ready, wake)
            select.select([wake, ready], [], [], self._patience())
            self._stop_when(bool(_drained(wake) & _STOP))
            ended = self._ended()
            # After that: who was ready before it ended has told so by then.
            self._hear_ready(ready)
            failed = self._replace(ended) or failed
            self._stop_when(failed)
            self._kill_hanging()
            self._touch_alive()
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._signal(signal.SIGKILL)
        return 1 if failed else 0

    def _start_due(self, lifeline: int, held: int, tells_ready: int, wake: int) -> None:
        now = time.monotonic()
        for place in self._places:
            if place.due is None or place.due > now:
                continue
            place.due, place.started, place.was_ready, place.was_killed = None, now, False, False
            self._beats[place.index] = 0.0
            # What comes before the child can hear of it waits in the child until it can.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
            pid = os.fork()
            if pid == 0:
                os.close(held)
                os.close(wake)
                _work(self.work, self._child(place.index, lifeline, tells_ready))
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            place.pid = pid

    def _child(self, index: int, lifeline: int, tells_ready: int) -> Child:
        def beat() -> None:
            self._beats[index] = time.monotonic()

        def ready() -> None:
            os.write(tells_ready, index.to_bytes(_INDEX_BYTES))

        return Child(lifeline, ready, beat)

    def _hear_ready(self, ready: int) -> None:
        if not select.select([ready], [], [], 0)[0]:
            return
        # Whole indexes, since a write of so few bytes is never split.
        heard = os.read(ready, _INDEX_BYTES * 1024)
        for at in range(0, len(heard), _INDEX_BYTES):
            self._places[int.from_bytes(heard[at : at + _INDEX_BYTES])].was_ready = True
        if not self._was_ready and all(place.was_ready for place in self._places):
            self._was_ready = True
            # Nobody may be left to read it; there is work to watch all the same.
            with suppress(OSError):
                self.on_ready()

    def _ended(self) -> list[tuple[_Place, int, int]]:
        """Return whose process ended, which that was, and how."""
        found = []
        for place in self._places:
            if place.pid is not None:
                pid, status = os.waitpid(place.pid, os.WNOHANG)
                if pid:
                    place.pid = None
                    found.append((place, pid, status))
        return found

    def _replace(self, ended: list[tuple[_Place, int, int]]) -> bool:
        """Have others started in their places; return whether they cannot be started at all."""
        if self._kill_at is not None:
            return False
        failed = False
        for place, pid, status in ended:
            if self._was_ready or place.was_ready:
                self._say(f"Process {pid} ended ({_why(status)}) and is started again.")
                place.due = max(time.monotonic(), place.started + RESTART_SECONDS)
            else:
                failed = True
        return failed

    def _kill_hanging(self) -> None:
        if self.hang_seconds is None or self._kill_at is not None:
            return
        now = time.monotonic()
        if now - self._looked > self.hang_seconds / 2:
            # Whoever was stopped itself, with all of the machine perhaps, judges nobody for as long.
            self._judges_at = now + self.hang_seconds
        self._looked = now
        for place in self._places:
            beaten = self._beats[place.index]
            if place.pid is None or place.was_killed or not beaten or now < self._judges_at:
                continue
            if now - beaten > self.hang_seconds:
                os.kill(place.pid, signal.SIGKILL)
                place.was_killed = True
                self._say(f"Process {place.pid} hangs and is killed.")

    def _touch_alive(self) -> None:
        if self.alive_file is None or self.hang_seconds is None:
            return
        oldest = time.monotonic() - self.hang_seconds / 2
        if all(p.pid and p.was_ready and self._beats[p.index] > oldest for p in self._places):
            # A disk that is full or read-only stops no work: the health check tells of it.
            with suppress(OSError):
                self.alive_file.touch()

    def _say(self, sentence: str) -> None:
        with suppress(OSError):
            self.tell(sentence)

    def _stop_when(self, wanted: bool) -> None:
        if wanted and self._kill_at is None:
            self._kill_at = time.monotonic() + self.drain
            for place in self._places:
                place.due = None
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.pid is not None:
                os.kill(place.pid, number)

    def _patience(self) -> float | None:
        moments = [place.due for place in self._places if place.due is not None]
        if self._kill_at is not None:
            moments.append(self._kill_at)
        elif self.hang_seconds is not None:
            moments.append(time.monotonic() + self.hang_seconds / 8)
        return max(0.0, min(moments) - time.monotonic()) if moments else None


def _work(work: Work, child: Child) -> NoReturn:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Ctrl-C goes to the whole terminal; the watcher passes it on as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code, raised = 1, None
    try:
        code = work(child)
    except BaseException as error:  # noqa: BLE001 - a forked child must not return into its parent's code
        raised = error
    try:
        _say_last_words(raised)
    finally:
        os._exit(code)


def _say_last_words(error: BaseException | None) -> None:
    """Have all said that was to be said, unless nobody reads it."""

    def say() -> None:
        if error is not None:
            with suppress(OSError):
                sys.excepthook(type(error), error, error.__traceback__)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()

    flush_lines()
    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    thread.join(FLUSH_SECONDS)


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
