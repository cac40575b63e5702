"""A data directory: private, used by one process at a time, which says in it where it is reached."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from taskflow_embedded import _forked
from taskflow_embedded.errors import AlreadyRunning, ServerError

LOCK = "lock"
STATE = "running.json"
_PID_MAX = 2**31 - 1
_PID_DIGITS = 10
_READERS_HOLD_THE_LOCK_FOR_SECONDS = 0.2


class DataDirectory:
    """A directory (mode 0700, made when missing) that one living process holds at a time.

    The hold is flock(2) on a file inside, so the kernel ends it however the process ends. `acquire` raises
    `AlreadyRunning` when another holds it, before anything is changed, and `ServerError` when the directory
    cannot be used. As a context manager it acquires and releases.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path).absolute()
        self._lock: int | None = None

    def acquire(self) -> None:
        """Take the directory for this process."""
        if self.held:
            raise AlreadyRunning(f"This process already uses {self.path}.", os.getpid())
        try:
            self._acquire()
        except OSError as error:
            raise ServerError(
                f"The data directory {self.path} cannot be used: {error.strerror}. Start as the user it "
                "belongs to, or name another directory."
            ) from error

    def _acquire(self) -> None:
        if not self.path.is_dir():
            self._make()
        self._refuse_if_unfit()
        lock = open_private(self.path / LOCK, os.O_RDWR | os.O_CREAT)
        if not _lock_soon(lock):
            pid = read_pid(lock)
            os.close(lock)
            raise AlreadyRunning(
                f"{self.path} is in use by the running process {pid or '(unknown)'}. Use that one, stop it, "
                "or name another directory.",
                pid,
            )
        self._lock = _forked.hold(lock)
        write_pid(lock, os.getpid())
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o700)
        (self.path / STATE).unlink(missing_ok=True)

    def _make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        parent = self.path.parent
        if os.geteuid() == 0 and (parent / LOCK).exists():
            # Inside somebody's data directory, root makes nothing that its owner could not use later.
            os.chown(self.path, parent.stat().st_uid, parent.stat().st_gid)

    @property
    def held(self) -> bool:
        """Whether this process has it. A forked child has not."""
        return self._lock is not None and _forked.holds(self._lock)

    def release(self) -> None:
        """Give the directory back; what is in it stays. Does nothing when it is not held."""
        if self._lock is None or not self.held:
            return
        (self.path / STATE).unlink(missing_ok=True)
        _forked.close(self._lock)
        self._lock = None

    def publish(self, state: Mapping[str, Any]) -> None:
        """Write what `running` tells other processes: JSON, all or nothing, for this user only."""
        new = self.path / f"{STATE}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(open_private(new, os.O_WRONLY | os.O_CREAT), "w", encoding="utf-8") as file:
            json.dump({"pid": os.getpid(), **state}, file, indent=2)
        new.replace(self.path / STATE)

    @staticmethod
    def running(path: Path, owners: Collection[int] | None = None) -> dict[str, Any] | None:
        """What the living process that holds `path` has published; None without one, or before it has.

        `owners` are the users who are believed; None believes everybody. Raises `ServerError` when the
        directory, or a link that leads to it, is another user's, when others may write to it, or when it
        cannot be read.
        """
        with ExitStack() as stack:
            try:
                link = path.lstat()
                # Everything is read through this descriptor: the path may soon lead elsewhere.
                home = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, home)
                lock = os.open(LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=home)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                raise ServerError(f"The data directory {path} cannot be read: {error.strerror}.") from error
            stack.callback(os.close, lock)
            _refuse_if_untrusted(path, link, os.fstat(home), owners)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                return _read_state(home)

    def _refuse_if_unfit(self) -> None:
        """Never make somebody's home directory or /tmp private because it was named by mistake."""
        status = self.path.stat()
        if os.geteuid() not in (0, status.st_uid):
            raise ServerError(
                f"The data directory {self.path} belongs to user {status.st_uid}. Start as that user, or "
                "name another directory."
            )
        shared = status.st_mode & 0o077
        if shared and not (self.path / LOCK).exists() and any(self.path.iterdir()):
            raise ServerError(
                f"{self.path} holds other files and is open to other users (mode "
                f"{stat.S_IMODE(status.st_mode):o}). Name a directory that is new, empty, or private "
                "(chmod 700)."
            )

    def __enter__(self) -> DataDirectory:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def open_private(path: Path, flags: int) -> int:
    """Open a file of mode 0600 of its directory's owner: one `sudo` must not lock its user out."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    owner = path.parent.stat()
    if os.geteuid() == 0 and os.fstat(descriptor).st_uid != owner.st_uid:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def write_pid(descriptor: int, pid: int) -> None:
    """Make the number the whole content of the file."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % pid, 0)


def read_pid(descriptor: int) -> int | None:
    """Return the process id in the file; None if the file does not exist."""
    return pid_in(os.pread(descriptor, 32, 0).decode(errors="replace").strip())


def pid_in(text: str) -> int | None:
    """Return the text as a process id; None if it is not one, as after a crash or on a full disk."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= _PID_DIGITS else 0
    return number if 0 < number <= _PID_MAX else None


def _lock_soon(descriptor: int) -> bool:
    """Lock; wait out those that only look whether somebody holds it (`DataDirectory.running`)."""
    deadline = time.monotonic() + _READERS_HOLD_THE_LOCK_FOR_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)


def _refuse_if_untrusted(
    path: Path, link: os.stat_result, home: os.stat_result, owners: Collection[int] | None
) -> None:
    """What stands in the directory decides where passwords and tasks are sent."""
    strangers = [] if owners is None else [s.st_uid for s in (link, home) if s.st_uid not in owners]
    if strangers:
        raise ServerError(f"The data directory {path} belongs to user {strangers[0]}, not to you.")
    if home.st_mode & 0o022:
        mode = f"{stat.S_IMODE(home.st_mode):o}"
        raise ServerError(f"Other users may write to the data directory {path} (mode {mode}): chmod 700.")


def _read_state(home: int) -> dict[str, Any] | None:
    try:
        descriptor = os.open(STATE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=home)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, encoding="utf-8") as file:
        state = json.load(file)
    return state if isinstance(state, dict) else None
