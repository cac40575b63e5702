"""Runs the installed `taskflow` as people do, and watches what it leaves behind.

Every limit on time here is against what hangs: what is slow is not for tests to say.
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TASKFLOW = Path(sys.executable).with_name("taskflow")
# Below where Linux takes the ports from that it gives to outgoing connections, and to whoever asks for any.
_PORTS = itertools.chain(range(20_000 + os.getpid() % 8_000, 32_000), range(10_000, 20_000))


def environment(given: Mapping[str, str] = {}) -> dict[str, str]:
    """This process's environment without what would meddle, and with what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKFLOW_")}
    # A cheap password hash would be a setting too; the tests sign in seldom enough to do without.
    return {**kept, "NO_COLOR": "1", **given}


def altered(before: str) -> tuple[str, ...]:
    """Return words that run `taskflow` in place of the installed one, after this code."""
    return (sys.executable, "-P", "-c", f"{before}\nfrom taskflow_cli.main import main\nmain()")


# A doctor that a busy machine does not make see faults: it waits for slow answers.
PATIENT_DOCTOR = altered("""
import taskflow_redis.client as client
import taskflow_redis.inspection as redis, taskflow_sqlalchemy.inspection as postgresql
client.CONNECT_SECONDS = client.ANSWER_SECONDS = client.POOL_WAIT_SECONDS = 60.0
redis.inspect.__kwdefaults__["deadline"] = postgresql.inspect.__kwdefaults__["deadline"] = 60.0
""")


def run(
    *args: object,
    cwd: Path,
    env: Mapping[str, str] = {},
    stdin: str = "",
    timeout: float = 90,
    program: Sequence[str] = (str(TASKFLOW),),
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*program, *map(str, args)],
        cwd=cwd,
        env=environment(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def free_port() -> int:
    """Return a port that stays free until it is listened at: nobody else is given it, no other test either.

    A test process has a port by holding that of UDP with the same number, for as long as it lives.
    """
    for port in _PORTS:
        with socket.socket(type=socket.SOCK_DGRAM) as mark, socket.socket() as probe, suppress(OSError):
            mark.bind(("127.0.0.1", port))
            probe.bind(("127.0.0.1", port))
            mark.detach()
            return port
    raise AssertionError("no port is free")


def processes_of(directory: Path) -> dict[int, str]:
    """Living processes that have a directory in their arguments or work in it, with their command lines.

    One that is about to end, without memory and so without a command line, is not among them.
    """
    found = {}
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            command = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            cwd = str((proc / "cwd").resolve())
            state = (proc / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if command and state != "Z" and (str(directory) in command or cwd.startswith(str(directory))):
            found[int(proc.name)] = command
    return found


@dataclass
class Background:
    """A `taskflow` that goes on running; its output is in a file, since nobody reads a pipe."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls,
        *args: object,
        cwd: Path,
        env: Mapping[str, str] = {},
        program: Sequence[str] = (str(TASKFLOW),),
    ) -> "Background":
        log = cwd / f"output-{time.monotonic_ns()}.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*program, *map(str, args)],
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
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, words: str, timeout: float = 60) -> float:
        """Return the seconds until the output has these words."""
        began = time.monotonic()
        while True:
            # Looked at before its output: what it said last counts too.
            ended = self.process.poll()
            if words in self.output:
                return time.monotonic() - began
            assert ended is None, f"ended with {ended}:\n{self.output}"
            assert time.monotonic() - began < timeout, f"not there after {timeout} s:\n{self.output}"
            time.sleep(0.02)

    def line_with(self, words: str, timeout: float = 60) -> str:
        """Return the first line that has these words, once it is whole."""
        self.wait_for(words, timeout)
        began = time.monotonic()
        while True:
            lines = [line for line in self.output.splitlines(keepends=True) if words in line]
            if lines[0].endswith("\n"):
                return lines[0]
            assert time.monotonic() - began < timeout, f"not ended after {timeout} s:\n{self.output}"
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 90) -> tuple[int, float]:
        """Return the exit code, and the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(timeout), time.monotonic() - began

    def kill(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
