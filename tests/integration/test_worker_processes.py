"""The watcher of a worker's processes: what dies, what hangs, and what is only slow to start."""

import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.pauses import pause, paused

SCRIPT = """
import mmap, os, pathlib, select, signal, sys, time
from taskflow_bootstrap import processes
from taskflow_bootstrap.running import run, stop_asked

here = {here!r}

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def shared(name):
    fd = os.open(os.path.join(here, name), os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 8)
    return memoryview(mmap.mmap(fd, 8)).cast("d")

class Clock:
    # Stands still until the test moves it, who is told what each process read of it last.
    def __init__(self):
        self.now, self.read = shared("clock"), {{}}

    def monotonic(self):
        pid, now = os.getpid(), self.now[0]
        if pid not in self.read:
            self.read[pid] = shared(f"read by {{pid}}")
        self.read[pid][0] = now
        return now

def beat_until_told(child):
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    while not told:
        child.beat()
        if select.select([child.lifeline], [], [], 0.02)[0]:
            break
    return 0

def wait_for_gate():
    while not os.path.exists(os.path.join(here, "gate")):
        time.sleep(0.01)

{work}

def nobody_listens(*_):
    raise BrokenPipeError

tell = nobody_listens if {deaf} else say
if {hang}:
    processes.time = Clock()
watcher = processes.Processes(
    work, {count}, 60.0, lambda: tell("all ready"), tell, {hang}, pathlib.Path(here, "alive")
)
sys.exit(watcher.run())
"""
HANG = 0.8


class Watched:
    """A watcher and its processes; where it watches whether they hang, by a clock that the test moves."""

    def __init__(self, process: subprocess.Popen[bytes], here: Path) -> None:
        self.process = process
        self.here = here

    @property
    def said(self) -> str:
        """In whole lines."""
        return "".join(
            line for line in (self.here / "log").read_text().splitlines(True) if line.endswith("\n")
        )

    def wait_for(self, words: str, times: int = 1) -> None:
        until(lambda: self.said.count(words) >= times)

    def pids(self) -> list[int]:
        """Of those that said "working", in that order."""
        return [int(line.split()[1]) for line in self.said.splitlines() if line.startswith("working")]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)

    def open_gate(self) -> None:
        (self.here / "gate").touch()

    def pass_time(self, seconds: float, *beating: int) -> None:
        """Move the clock, so slowly that the watcher looks and these beat at each step."""
        for _ in range(round(seconds / (HANG / 8))):
            self.jump(HANG / 8)
            self.wait_until_read(self.process.pid, *beating)

    def jump(self, seconds: float) -> None:
        clock = shared(self.here / "clock")
        clock[0] += seconds

    def wait_until_read(self, *pids: int) -> None:
        """Return once these have read what time it is."""
        now = shared(self.here / "clock")[0]
        until(lambda: all(shared(self.here / f"read by {pid}")[0] >= now for pid in pids))


def shared(path: Path) -> "memoryview[float]":
    with path.open("a+b") as file:
        file.truncate(8)
        return memoryview(mmap.mmap(file.fileno(), 8)).cast("d")


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends, "it never came to hold"
        time.sleep(0.01)


@contextmanager
def watched(
    tmp_path: Path, work: str, count: int = 1, hang: float | None = None, *, deaf: bool = False
) -> Iterator[Watched]:
    script = tmp_path / "watched.py"
    script.write_text(SCRIPT.format(here=str(tmp_path), work=work, count=count, hang=hang, deaf=deaf))
    shared(tmp_path / "clock")[0] = time.monotonic()
    with (tmp_path / "log").open("wb") as output:
        process = subprocess.Popen([sys.executable, script], stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Watched(process, tmp_path)
    finally:
        process.kill()
        process.wait()


BEATING = """
def work(child):
    say("working", os.getpid())
    child.ready()
    return beat_until_told(child)
"""


def test_one_that_hangs_is_killed_and_started_again(tmp_path: Path) -> None:
    with watched(tmp_path, BEATING, count=2, hang=HANG) as those:
        those.wait_for("all ready")
        first, second = those.pids()
        those.pass_time(HANG, first, second)
        pause(first)
        those.pass_time(HANG / 2, second)
        assert "hangs" not in those.said
        those.pass_time(HANG, second)
        those.wait_for(f"Process {first} hangs and is killed.")
        those.wait_for(f"Process {first} ended (killed by SIGKILL) and is started again.")
        those.pass_time(1.5, second)
        those.wait_for("working", times=3)
        assert second in those.pids()
        assert f"Process {second}" not in those.said
        assert those.stop() == 0


def test_the_file_for_health_checks_is_touched_only_while_all_work(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    with watched(tmp_path, BEATING, count=2, hang=HANG) as those:
        those.wait_for("all ready")
        first, second = those.pids()
        until(alive.exists)
        pause(first)
        those.pass_time(HANG * 5 / 8, second)
        alive.unlink()
        those.pass_time(HANG / 8, second)
        assert not alive.exists()
        those.pass_time(HANG, second)
        those.wait_for("hangs and is killed")
        those.pass_time(1.5, second)
        until(alive.exists)
        assert those.stop() == 0


KILLED_FIRST = """
said = say

def say(*words):
    if "hangs" in str(words[0]):
        pid = words[0].split()[1]
        while open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
    said(*words)
"""


def test_one_that_hangs_is_killed_before_that_is_said(tmp_path: Path) -> None:
    with watched(tmp_path, BEATING + KILLED_FIRST, hang=HANG) as those:
        those.wait_for("all ready")
        (first,) = those.pids()
        those.pass_time(HANG, first)
        pause(first)
        # Saying it takes until it is dead.
        those.pass_time(1.5 * HANG)
        those.wait_for(f"Process {first} hangs and is killed.")
        those.wait_for(f"Process {first} ended (killed by SIGKILL) and is started again.")
        those.pass_time(1.5)
        those.wait_for("working", times=2)
        assert those.stop() == 0


def test_one_that_beats_is_left_alone(tmp_path: Path) -> None:
    with watched(tmp_path, BEATING, count=2, hang=HANG) as those:
        those.wait_for("all ready")
        those.pass_time(4 * HANG, *those.pids())
        assert those.stop() == 0
        assert "Process" not in those.said


SLOW_TO_START = """
def work(child):
    say("working", os.getpid())
    wait_for_gate()
    child.ready()
    return beat_until_told(child)
"""


def test_one_that_has_not_begun_to_beat_may_take_its_time(tmp_path: Path) -> None:
    with watched(tmp_path, SLOW_TO_START, hang=HANG) as those:
        those.wait_for("working")
        those.pass_time(4 * HANG)
        those.open_gate()
        those.wait_for("all ready")
        assert those.stop() == 0
        assert "Process" not in those.said


def test_a_watcher_that_was_paused_with_all_its_processes_judges_nobody(tmp_path: Path) -> None:
    with watched(tmp_path, BEATING, count=2, hang=HANG) as those:
        those.wait_for("all ready")
        first, second = those.pids()
        those.pass_time(HANG, first, second)
        with paused(first), paused(second):
            with paused(those.process.pid):
                those.jump(2 * HANG)
            # The last that would have been stopped is the first to go on.
            those.pass_time(HANG / 4)
        those.pass_time(4 * HANG, first, second)
        assert those.stop() == 0
        assert "Process" not in those.said


READY_THEN_DEAD = """
def is_first(name):
    try:
        os.close(os.open(os.path.join(here, name), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

def work(child):
    say("working", os.getpid())
    if is_first("slow"):
        wait_for_gate()
    elif is_first("dead"):
        child.ready()
        os._exit(3)
    child.ready()
    return beat_until_told(child)
"""


def test_one_that_dies_once_ready_is_started_again_even_before_the_others_are(
    tmp_path: Path,
) -> None:
    with watched(tmp_path, READY_THEN_DEAD, count=2) as those:
        those.wait_for("(exit code 3) and is started again")
        those.wait_for("working", times=3)
        assert "all ready" not in those.said
        those.open_gate()
        those.wait_for("all ready")
        assert len(those.pids()) == 3
        assert those.stop() == 0


DEAD_BEFORE = """
def work(child):
    say("working", os.getpid())
    return 4
"""


def test_those_that_die_before_they_are_ready_cannot_be_started(tmp_path: Path) -> None:
    with watched(tmp_path, DEAD_BEFORE, count=2) as those:
        assert those.process.wait(60) == 1
        assert len(those.pids()) == 2


def test_after_one_was_started_again_the_watcher_sleeps(tmp_path: Path) -> None:
    with watched(tmp_path, BEATING) as those:
        those.wait_for("all ready")
        os.kill(those.pids()[0], signal.SIGKILL)
        those.wait_for("working", times=2)
        time.sleep(0.3)
        before = _cpu_ticks(those.process.pid)
        time.sleep(0.7)
        assert _cpu_ticks(those.process.pid) - before < 20
        assert those.stop() == 0


SLOW_TO_LISTEN = """
async def main(child):
    with stop_asked(child.lifeline) as stop:
        child.ready()
        await stop.wait()
    say("heard", os.getpid())

def work(child):
    say("working", os.getpid())
    time.sleep(0.1)
    run(main(child))
    return 0
"""


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.06, 0.09, 0.12])
def test_one_that_is_asked_to_end_while_it_starts_hears_of_it(tmp_path: Path, delay: float) -> None:
    with watched(tmp_path, SLOW_TO_LISTEN, count=2) as those:
        those.wait_for("working")
        time.sleep(delay)
        assert those.stop() == 0
        # Those that did not hear of it were killed.
        assert those.said.count("heard") == len(those.pids())


def test_where_nobody_reads_what_it_says_it_watches_all_the_same(tmp_path: Path) -> None:
    with watched(tmp_path, READY_THEN_DEAD, count=2, deaf=True) as those:
        those.open_gate()
        those.wait_for("working", times=3)
        assert those.process.poll() is None
        assert those.stop() == 0


@pytest.fixture
def nohup() -> Iterator[None]:
    """What is started ignores SIGHUP, as nohup has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("nohup")
def test_what_was_ignored_when_it_began_stays_so(tmp_path: Path) -> None:
    with watched(tmp_path, SLOW_TO_LISTEN, count=2) as those:
        those.wait_for("all ready")
        for pid in (those.process.pid, *those.pids()):
            # How the kernel has it; a signal that ends it would do so at some time.
            ignored = Path(f"/proc/{pid}/status").read_text().partition("SigIgn:")[2].split()[0]
            assert int(ignored, 16) & 1 << (signal.SIGHUP - 1)
        assert those.stop() == 0


DEAF_TASK = """
import asyncio

async def deaf():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

async def main(child):
    with stop_asked(child.lifeline) as stop:
        left = asyncio.create_task(deaf())
        child.ready()
        await stop.wait()

def work(child):
    say("working", os.getpid())
    run(main(child))
    say("left")
    return 0
"""


def test_a_task_that_does_not_end_is_left_behind(tmp_path: Path) -> None:
    with watched(tmp_path, DEAF_TASK) as those:
        those.wait_for("all ready")
        assert those.stop() == 0
        assert "left" in those.said


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
