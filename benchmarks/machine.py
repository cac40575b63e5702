"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path


def describe() -> str:
    """Return one line about this machine and what else it has to do right now."""
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({_cpu()}), {memory_bytes() / 2**30:.0f} GB, Linux {platform.release()}, "
        f"Python {platform.python_version()}; load before the run {load:.1f}"
    )


def memory_bytes() -> int:
    """Return the size of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its ended children have used; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS


def family(pid: int) -> list[int]:
    """Return a process and those that it started, and they."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text(encoding="utf-8").split():
            found += family(int(child))
    return found


def peak_memory_mb(pid: int) -> float:
    """Return the most resident memory that a process has had since it started."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()

    def __call__(self) -> float:
        return time.perf_counter() - self._begin
