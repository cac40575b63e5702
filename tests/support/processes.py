"""Runs the installed `taskflow` as people do, and watches what it leaves behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TASKFLOW = Path(sys.executable).with_name("taskflow")


def environment(given: Mapping[str, str] = {}) -> dict[str, str]:
    """This process's environment without what would meddle, and with what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKFLOW_")}
    # A cheap password hash would be a setting too; the tests sign in seldom enough to do without.
    return {**kept, "NO_COLOR": "1", **given}


def run(
    *args: object,
    cwd: Path,
    env: Mapping[str, str] = {},
    stdin: str = "",
    timeout: float = 30,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    words = [str(TASKFLOW), *map(str, args)]
    return subprocess.run(
        words,
        cwd=cwd,
        env=environment(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes_of(directory: Path) -> dict[int, str]:
    """Living processes that have a directory in their arguments or work in it, with their command lines."""
    found = {}
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            command = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            cwd = str((proc / "cwd").resolve())
            state = (proc / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and (str(directory) in command or cwd.startswith(str(directory))):
            found[int(proc.name)] = command
    return found


@dataclass
class Background:
    """A `taskflow` that goes on running; its output is in a file, since nobody reads a pipe."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, *args: object, cwd: Path, env: Mapping[str, str] = {}) -> "Background":
        log = cwd / f"output-{time.monotonic_ns()}.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(TASKFLOW), *map(str, args)],
                cwd=cwd,
                env=environment({"PYTHONUNBUFFERED": "1", **env}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process, log)

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, words: str, timeout: float = 60) -> float:
        """Return the seconds until the output has these words."""
        began = time.monotonic()
        while words not in self.output:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output}"
            assert time.monotonic() - began < timeout, f"not there after {timeout} s:\n{self.output}"
            time.sleep(0.02)
        return time.monotonic() - began

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 30) -> tuple[int, float]:
        """Return the exit code, and the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(timeout), time.monotonic() - began

    def kill(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
