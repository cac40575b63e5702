"""Lines that a thread writes, so that nobody waits for who reads them.

A pipe may be full, since a log shipper hangs or somebody looks at the first page of `| less`; a terminal may
be stopped by Ctrl-S.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import threading
import time
from bisect import bisect_right
from contextlib import suppress
from itertools import accumulate
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, TextIO, TypeAlias
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINES: Final = 10_000
MAX_BYTES: Final = 4 * 2**20
"""Where so many wait, no more are taken."""
FLUSH_SECONDS: Final = 1.0
"""How long the end of a process waits for what is not written yet."""
_PAUSE_SECONDS: Final = 0.02
"""Between writes: a thread that woke up for each line would take more time from the others than it spares."""

_Line: TypeAlias = tuple[bytes, int]
"""What to write, and of how many lost lines it tells."""


class _Telling(threading.local):
    lost: int = 0
    """What the line tells of that this thread is about to write."""


class LineWriter:
    """Takes lines at once, always, and has them written in order; counts those that cannot be.

    What is written to memory is written at once.
    """

    _lines: int
    _bytes: int
    _lost: int

    def __init__(self, out: TextIO) -> None:
        """Write to a stream; the thread begins with the first line."""
        self._file = _File(out)
        self._begin()
        _writers.add(self)

    def write(self, text: str) -> None:
        """Take a line with its end. Waits for no reader, and raises nothing."""
        data, told = text.encode(self._file.encoding, "backslashreplace"), self._telling.lost
        if told:
            self._telling.lost = 0
        with self._lock:
            if self._lines >= self._max_lines or self._bytes >= MAX_BYTES:
                self._lost += 1 + told
                return
            self._lines += 1
            self._bytes += len(data)
            self._queue.put((data, told))
        if self._thread is None and not self._is_direct:
            self._start()
        if self._is_direct:
            with self._lock:
                self._write_out(list(_all_of(self._queue)))

    def take_lost(self) -> int:
        """Return how many were lost and not told of; the next line that this thread writes is to tell it."""
        if self._lost:
            with self._lock:
                self._telling.lost += self._lost
                self._lost = 0
        return self._telling.lost

    def flush(self, seconds: float) -> None:
        """Wait until nothing waits any more, for so many seconds at most."""
        ends = time.monotonic() + seconds
        while self._lines and time.monotonic() < ends:
            time.sleep(_PAUSE_SECONDS / 8)

    def close(self) -> None:
        """Take leave of the thread, which is about to end: from now on write directly, if somebody reads."""
        if self._lines:
            self._max_lines = 0
        else:
            self._is_direct = True

    def forget(self) -> None:
        """Begin anew in a process that was forked: what waits is its parent's, and so is who writes it."""
        self._begin()

    def _begin(self) -> None:
        # Reentrant, since a finalizer may log wherever memory is asked for.
        self._lock = threading.RLock()
        self._queue: SimpleQueue[_Line] = SimpleQueue()
        self._telling = _Telling()
        self._thread: threading.Thread | None = None
        self._lines = self._bytes = self._lost = 0
        self._max_lines = MAX_LINES
        self._is_direct = self._file.number is None

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            thread = self._thread = threading.Thread(target=self._run, name="taskflow-lines", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # There can be no thread; that is no reason to say nothing.
            self._is_direct = True

    def _run(self) -> None:
        # Signals are for those who wait for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            self._write_out([self._queue.get(), *_all_of(self._queue)])
            time.sleep(_PAUSE_SECONDS)

    def _write_out(self, lines: list[_Line]) -> None:
        for group in _grouped(lines):
            written = self._file.write([data for data, _ in group])
            with self._lock:
                self._lines -= len(group)
                self._bytes -= sum(len(data) for data, _ in group)
                self._lost += sum(1 + told for _, told in group[written:])


class _File:
    """Where lines go: past the stream, whose own lock a fork might leave locked."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_torn = False
        self.encoding = out.encoding or "utf-8"
        self.number = _number_of(out)

    def write(self, lines: list[bytes]) -> int:
        """Return how many of these were written, whole."""
        try:
            # Where the stream was closed its number may be another file's by now.
            number = None if self._out.closed else self.number
            if number is None:
                self._out.write(b"".join(lines).decode(self.encoding))
                self._out.flush()
                return len(lines)
        except (OSError, ValueError):
            return 0
        if self._is_torn:
            lines = [b"\n" + lines[0], *lines[1:]]
        ends = list(accumulate(map(len, lines)))
        written = _written(number, b"".join(lines))
        if written:
            self._is_torn = written not in ends
        return bisect_right(ends, written)


def _number_of(out: TextIO) -> int | None:
    try:
        return out.fileno()
    except (OSError, ValueError):  # in memory, or closed
        return None


def _written(file: int, data: bytes) -> int:
    """Return how many bytes could be written."""
    view, sent = memoryview(data), 0
    while sent < len(data):
        try:
            sent += os.write(file, view[sent:])
        except BlockingIOError:
            # Whoever shares the file has made it so.
            ready = select.poll()
            ready.register(file, select.POLLOUT)
            ready.poll()
        except OSError:
            break
    return sent


def _all_of(queue: SimpleQueue[_Line]) -> Iterator[_Line]:
    with suppress(Empty):
        while True:
            yield queue.get_nowait()


def _grouped(lines: list[_Line]) -> Iterator[list[_Line]]:
    """Yield them in groups that a pipe takes in one piece: others write into it too, between those."""
    group: list[_Line] = []
    size = 0
    for line in lines:
        if group and size + len(line[0]) > select.PIPE_BUF:
            yield group
            group, size = [], 0
        group.append(line)
        size += len(line[0])
    if group:
        yield group


_writers: Final[WeakSet[LineWriter]] = WeakSet()


def flush_lines(seconds: float = FLUSH_SECONDS) -> None:
    """Give what waits in this process so long to be written.

    That is done wherever Python ends the process; who ends it otherwise calls this.
    """
    ends = time.monotonic() + seconds
    for writer in list(_writers):
        writer.flush(ends - time.monotonic())


def _close_all() -> None:
    flush_lines()
    for writer in list(_writers):
        writer.close()


def _forget_all() -> None:
    for writer in list(_writers):
        writer.forget()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_all)
