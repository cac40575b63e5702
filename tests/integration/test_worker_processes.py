"""The watcher of a worker's processes: what dies, what hangs, and what is only slow to start."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = """
import os, select, signal, sys, time
from taskflow_bootstrap.processes import Processes
from taskflow_bootstrap.running import run, stop_asked

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def beat_until_told(child, seconds=60.0):
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    end = time.monotonic() + seconds
    while not told and time.monotonic() < end:
        child.beat()
        if select.select([child.lifeline], [], [], 0.02)[0]:
            break
    return 0

{work}

def nobody_listens(*_):
    raise BrokenPipeError

tell = nobody_listens if {deaf} else say
sys.exit(Processes(work, {count}, 5.0, lambda: tell("all ready"), tell, hang_seconds={hang}).run())
"""


class Watched:
    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def wait_for(self, words: str, times: int = 1, timeout: float = 15) -> None:
        end = time.monotonic() + timeout
        while self.log.read_text().count(words) < times:
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def pids(self) -> list[int]:
        """Of those that said "working", in that order."""
        lines = self.log.read_text().splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith("working")]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


@contextmanager
def watched(
    tmp_path: Path, work: str, count: int = 1, hang: float | None = None, *, deaf: bool = False
) -> Iterator[Watched]:
    script, log = tmp_path / "watched.py", tmp_path / "log.txt"
    script.write_text(SCRIPT.format(work=work, count=count, hang=hang, deaf=deaf))
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, script], stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Watched(process, log)
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
    with watched(tmp_path, BEATING, count=2, hang=0.8) as those:
        those.wait_for("all ready")
        first, second = those.pids()
        os.kill(first, signal.SIGSTOP)
        those.wait_for(f"Process {first} hangs and is killed.")
        those.wait_for("working", times=3)
        assert second in those.pids()
        assert f"Process {second}" not in those.log.read_text()
        assert those.stop() == 0


def test_one_that_beats_is_left_alone(tmp_path: Path) -> None:
    with watched(tmp_path, BEATING, count=2, hang=1.5) as those:
        those.wait_for("all ready")
        time.sleep(2.5)
        assert those.stop() == 0
        assert "Process" not in those.log.read_text()


SLOW_TO_START = """
def work(child):
    say("working", os.getpid())
    time.sleep(2.0)
    child.ready()
    return beat_until_told(child)
"""


def test_one_that_has_not_begun_to_beat_may_take_its_time(tmp_path: Path) -> None:
    with watched(tmp_path, SLOW_TO_START, hang=1.2) as those:
        those.wait_for("all ready")
        assert those.stop() == 0
        assert "Process" not in those.log.read_text()


def test_a_watcher_that_was_paused_with_all_its_processes_judges_nobody(tmp_path: Path) -> None:
    with watched(tmp_path, BEATING, count=2, hang=0.8) as those:
        those.wait_for("all ready")
        paused = [those.process.pid, *those.pids()]
        for pid in paused:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1.6)
        for pid in paused:
            os.kill(pid, signal.SIGCONT)
        time.sleep(1.0)
        assert those.stop() == 0
        assert "Process" not in those.log.read_text()


READY_THEN_DEAD = """
def is_first(name):
    try:
        os.close(os.open(os.path.join("here", name), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

def work(child):
    say("working", os.getpid())
    if is_first("slow"):
        time.sleep(3)
    elif is_first("dead"):
        child.ready()
        os._exit(3)
    child.ready()
    return beat_until_told(child)
"""


def test_one_that_dies_once_ready_is_started_again_even_before_the_others_are(
    tmp_path: Path,
) -> None:
    work = READY_THEN_DEAD.replace('"here"', repr(str(tmp_path)))
    with watched(tmp_path, work, count=2) as those:
        those.wait_for("(exit code 3) and is started again")
        assert "all ready" not in those.log.read_text()
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
        assert those.process.wait(10) == 1
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
        assert those.log.read_text().count("heard") == len(those.pids())


def test_where_nobody_reads_what_it_says_it_watches_all_the_same(tmp_path: Path) -> None:
    work = READY_THEN_DEAD.replace('"here"', repr(str(tmp_path)))
    with watched(tmp_path, work, count=2, deaf=True) as those:
        those.wait_for("working", times=3)
        assert those.process.poll() is None
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
        assert "left" in those.log.read_text()


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
