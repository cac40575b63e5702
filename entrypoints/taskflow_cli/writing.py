"""Writes a command's output to a file that the caller named.

A regular file is replaced whole or stays as it was. Everything else (a pipe, a terminal, a device, a
descriptor that this process was started with) is written to directly, as a shell's redirection does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import signal
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Final, NoReturn

import click

from taskflow_cli.options import interruptible
from taskflow_cli.tables import printable

_MODE: Final = 0o600
"""Of a file that did not exist: tasks are private."""
_REASONS: Final = {
    errno.ENXIO: "it is a socket, or nothing reads from it",
    errno.EPIPE: "its reader has closed it",
}


@contextmanager
def output_file(name: str) -> Iterator[IO[bytes]]:
    """Open the file `name` for writing.

    A regular file gets its new content when the block ends without an error, and keeps its mode and owner;
    its other hard links keep the old content. Symbolic links are followed and stay.

    Raises:
        click.UsageError: The name is empty.
        click.ClickException: It cannot be written; the message says why.
    """
    if not name:
        raise click.UsageError("The name of the file to write is empty. Standard output is: -")
    try:
        with interruptible(), _opened(name) as file:
            yield file
    except OSError as error:
        shown = printable(os.fsencode(name).decode(errors="replace").replace("\n", "\\n"))
        why = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise click.ClickException(f"{shown} cannot be written: {why}.") from error


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    found = _status(name)
    with ExitStack() as stack:
        if found is None:
            yield stack.enter_context(_replacing(name, None))
            return
        inherited = _inherited(found)
        # The kernel judges permissions, and links that another user planted (protected_symlinks).
        descriptor = (
            os.open(name, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
            if inherited is None
            else os.dup(inherited)
        )
        file: IO[bytes] = stack.enter_context(os.fdopen(descriptor, "wb"))
        opened = os.fstat(descriptor)
        if inherited is None and stat.S_ISREG(opened.st_mode):
            file = stack.enter_context(_replacing(os.path.realpath(name), opened))
        yield file


def _status(name: str) -> os.stat_result | None:
    # Not by a Path, which drops a slash at the end: `name/` is a directory.
    try:
        return os.stat(name)  # noqa: PTH116 - as above
    except FileNotFoundError:
        if os.path.islink(name):  # noqa: PTH114 - as above
            raise OSError(errno.ENOENT, "it is a link to a file that does not exist") from None
        return None


def _inherited(found: os.stat_result) -> int | None:
    """Return the descriptor by which this process writes to the file already, as to `/dev/stdout`.

    A shell that gave it may write behind us, which a replaced file would not show.
    """
    for number in sorted(map(int, os.listdir("/dev/fd"))):  # noqa: PTH208 - numbers, not paths
        with suppress(OSError):
            writes = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
            if writes and os.path.samestat(os.fstat(number), found):
                return number
    return None


@contextmanager
def _replacing(path: str, old: os.stat_result | None) -> Iterator[IO[bytes]]:
    """Open a new file in the same directory, under a name that nobody can guess; rename it at the end."""
    folder, name = os.path.split(path)
    new = f".taskflow-{secrets.token_hex(16)}"
    with ExitStack() as stack:
        # All that follows is in this directory, whatever becomes of the path.
        parent = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, parent)
        _require_same(name, parent, old)
        stack.enter_context(_exit_on_signals())
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(new, flags, _MODE, dir_fd=parent)
        stack.callback(_unlink, new, parent)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if old is not None:
                _keep(descriptor, old)
            os.fsync(descriptor)
        _require_same(name, parent, old)
        os.replace(new, name, src_dir_fd=parent, dst_dir_fd=parent)
        os.fsync(parent)


def _require_same(name: str, parent: int, old: os.stat_result | None) -> None:
    """Raise OSError where the name is now another file's than the one that is to be replaced."""
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        found = None
    if (found is None) != (old is None) or (found and old and not os.path.samestat(found, old)):
        raise OSError(errno.EAGAIN, "another process replaced it meanwhile")


def _keep(descriptor: int, old: os.stat_result) -> None:
    """Give the new file the owner and the permissions of the old one."""
    try:
        os.fchown(descriptor, old.st_uid, old.st_gid)
    except PermissionError:
        why = "it belongs to another user or group; write elsewhere, or redirect standard output to it"
        raise PermissionError(errno.EPERM, why) from None
    os.fchmod(descriptor, old.st_mode & 0o777)


def _unlink(name: str, parent: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end the process by an exception, so that no half-written file is left."""

    def leave(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    # What is ignored stays so: nohup says it by SIGHUP.
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
