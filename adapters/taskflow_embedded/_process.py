"""One server process: started under `_launch.py`, found again after a crash, stopped within bounds."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from taskflow_embedded import _forked
from taskflow_embedded._identity import Identity
from taskflow_embedded.directory import open_private, read_pid
from taskflow_embedded.errors import ServerError

_LAUNCHER = Path(__file__).with_name("_launch.py")
_KEPT_VARIABLES = ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_NAMES = ("initdb", "postgres", "valkey-server")
_INSIST_SECONDS = 1.0
_NOTICE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Ending:
    """The signal that asks a server to end, and the one that insists; SIGKILL comes last in any case."""

    stop: signal.Signals
    force: signal.Signals


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how."""

    argv: Sequence[str | Path]
    cwd: Path
    ending: Ending
    identity: Identity | None = None
    environment: dict[str, str] = field(default_factory=lambda: {"LC_ALL": "C", "TZ": "UTC"})

    def spec(self, lock: int | None) -> str:
        """The word that `_launch.py` takes."""
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        return json.dumps(
            {
                "argv": [str(word) for word in self.argv],
                "cwd": str(self.cwd),
                "env": {**kept, **self.environment},
                "identity": asdict(self.identity) if self.identity else None,
                "lock": lock,
                "stop": self.ending.stop,
                "force": self.ending.force,
                "grace": 4.0,
            }
        )


class ServerProcess:
    """A running `Program`, which ends when this object's process does.

    `lock` is a file that the server and all its children keep locked (flock) as long as one of them lives,
    so that the next start can tell, free of any doubt about process numbers, whether something was left
    behind.
    """

    def __init__(self, program: Program, *, lock: Path, log: Path) -> None:
        self._program = program
        self._lock = lock
        held = end_leftover(program.ending, lock)
        lifeline, self._lifeline = os.pipe()
        _forked.hold(self._lifeline)
        log_file = open_private(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            self._launcher = _launch(program, lifeline, log_file, held)
        except BaseException:
            _forked.close(self._lifeline)
            raise
        finally:
            for descriptor in (lifeline, log_file, held):
                os.close(descriptor)
        with self._launcher.stdout or io.BytesIO() as output:
            self.pid = int(output.readline() or 0)

    def running(self) -> bool:
        """Whether the server lives."""
        return self._launcher.poll() is None

    def wait(self, timeout: float) -> int:
        """The exit code, once it has ended by itself; subprocess.TimeoutExpired after `timeout` seconds."""
        return self._launcher.wait(timeout)

    def stop(self, timeout: float) -> None:
        """Ask for an orderly end; insist after `timeout` seconds. A second later nothing of it is left.

        Does nothing the second time, or in a forked child: the server is its parent's.
        """
        if not _forked.holds(self._lifeline):
            return
        with contextlib.suppress(OSError):
            os.write(self._lifeline, b"%f" % timeout)
        _forked.close(self._lifeline)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._launcher.wait(timeout + _INSIST_SECONDS)
        self._launcher.kill()
        self._launcher.wait()
        os.close(end_leftover(self._program.ending, self._lock, grace=0.5))

    def kill(self) -> None:
        """End it as a crash would (SIGKILL), and wait until its children have noticed."""
        if _forked.holds(self._lifeline) and self.running():
            _kill(self.pid, signal.SIGKILL)
        self.stop(_INSIST_SECONDS)


def refusal(program: Program) -> str:
    """Why the program does not even start, "" if it does: for trying an identity with a harmless command."""
    lifeline, held_open = os.pipe()
    try:
        result = subprocess.run(  # noqa: S603
            _launcher_words(program, None),
            stdin=lifeline,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    finally:
        os.close(lifeline)
        os.close(held_open)
    return "" if result.returncode == 0 else (result.stderr.strip() or f"exit code {result.returncode}")


def end_leftover(ending: Ending, lock: Path, grace: float = 4.0) -> int:
    """End what an earlier, killed owner left running, and return the locked descriptor of `lock`.

    Most often the launcher is already doing the same. Raises `ServerError` when the leftover outlives
    `grace` seconds and SIGKILL.
    """
    held = open_private(lock, os.O_RDWR | os.O_CREAT)
    try:
        for number, patience in ((ending.stop, grace), (ending.force, 0.5), (signal.SIGKILL, 5.0)):
            if _locks_within(held, 0.0) or _signal_and_lock(held, lock.parent, number, patience):
                return held
    except BaseException:
        os.close(held)
        raise
    os.close(held)
    raise ServerError(
        f"A server left by an earlier run still uses {lock.parent}, and SIGKILL did not end it."
    )


def _signal_and_lock(held: int, directory: Path, number: int, patience: float) -> bool:
    pid = read_pid(held)
    if pid and serves(pid, directory):
        _kill(pid, number)
    elif not _locks_within(held, _NOTICE_SECONDS):
        # A backend in the middle of a computation does not notice that its postmaster was killed.
        for orphan in living():
            if serves(orphan, directory):
                _kill(orphan, signal.SIGKILL)
    return _locks_within(held, patience)


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _launcher_words(program: Program, lock: int | None) -> list[str]:
    if not sys.executable:
        raise ServerError(
            "This Python does not know its own program (sys.executable is empty), which starts the servers."
        )
    return [sys.executable, "-I", "-S", str(_LAUNCHER), program.spec(lock)]


def _launch(program: Program, lifeline: int, log: int, lock: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603
        _launcher_words(program, lock),
        stdin=lifeline,
        stdout=subprocess.PIPE,
        stderr=log,
        pass_fds=[lock],
        # Ctrl-C in the terminal is for TaskFlow, which stops its servers last.
        start_new_session=True,
    )


def _locks_within(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)


def serves(pid: int, directory: Path) -> bool:
    """Whether process `pid` is a server on data in `directory`: servers work where their data is."""
    try:
        if Path("/proc/self").exists():
            process = Path("/proc", str(pid))
            if (process / "comm").read_text(encoding="utf-8", errors="replace").strip() not in _NAMES:
                return False
            return (process / "cwd").resolve().is_relative_to(directory.resolve())
        words = ["/bin/ps", "-o", "comm=", "-p", str(pid)]
        listed = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
        return Path(listed.stdout.strip()).name in _NAMES
    except OSError:
        return False


def living() -> Iterator[int]:
    """The numbers of all processes, where the system tells them (/proc)."""
    return (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))


def is_alive(pid: int) -> bool:
    """Whether a process of this number lives, whosever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
