"""Processes that are stopped for a while."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Have a process do nothing until the block ends."""
    pause(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def pause(pid: int) -> None:
    """Stop a process, and return once each of its threads has stopped: the signal alone may take a while."""
    os.kill(pid, signal.SIGSTOP)
    ends = time.monotonic() + 60
    while any(state_of(task / "stat") not in {"T", "Z", ""} for task in Path(f"/proc/{pid}/task").glob("*")):
        assert time.monotonic() < ends, "it goes on"
        time.sleep(0.001)


def lives(pid: int) -> bool:
    """Whether a process has not ended; nobody need have asked how it did."""
    return state_of(Path(f"/proc/{pid}/stat")) not in {"Z", "X", ""}


def state_of(stat: Path) -> str:
    """By its letter; nothing where there is no such process."""
    try:
        return stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""
