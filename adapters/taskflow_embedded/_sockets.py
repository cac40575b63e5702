"""A private place for a Unix socket, also where the data directory's path is too long or too odd for one."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from pathlib import Path

from taskflow_embedded.directory import open_private

_RECORD = "socket-directory"
_PREFIX = "taskflow-"
# PostgreSQL and libpq take a comma in a socket directory for the start of another one; quotes and controls
# are no better.
_PLAIN = re.compile(r"[\w/.+@%=: ~-]+")


def socket_directory(home: Path, name: str) -> Path:
    """A directory of mode 0700 for a socket `name`: `home`, else a new one among the temporary ones.

    Whoever may enter it may use the server, so nobody else may. `forget_socket_directory` removes a new
    one; one that a killed process left is removed here.
    """
    forget_socket_directory(home)
    if _can_bind(home, name):
        return home
    short = Path(tempfile.mkdtemp(prefix=_PREFIX))
    if not _can_bind(short, name):
        short.rmdir()
        short = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
    with os.fdopen(
        open_private(home / _RECORD, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="utf-8"
    ) as record:
        record.write(str(short))
    owner = home.stat()
    if os.geteuid() != owner.st_uid:
        os.chown(short, owner.st_uid, owner.st_gid)
    return short


def forget_socket_directory(home: Path) -> None:
    """Remove the directory that `socket_directory` made for `home`, if it made one."""
    record = home / _RECORD
    if not record.exists():
        return
    short = Path(record.read_text(encoding="utf-8"))
    if short.name.startswith(_PREFIX) and not short.is_symlink():
        shutil.rmtree(short, ignore_errors=True)
    record.unlink()


def _can_bind(directory: Path, name: str) -> bool:
    path = directory / name
    if not _PLAIN.fullmatch(str(path)):
        return False
    path.unlink(missing_ok=True)
    # PostgreSQL puts a lock with a process id beside its socket; after a restart of the machine that may be
    # anybody's.
    Path(f"{path}.lock").unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            # The name is tried at the length that programs with a C string (a NUL at its end) can use too.
            probe.bind(f"{path}x")
        except OSError:
            return False
    Path(f"{path}x").unlink()
    return True
