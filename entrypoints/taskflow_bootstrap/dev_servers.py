"""PostgreSQL and Valkey of one data directory, and the secret that signs its tokens."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from taskflow_bootstrap.errors import InUse, StartError
from taskflow_bootstrap.parsing import SECRET_BYTES_MIN
from taskflow_embedded import AlreadyRunning, DataDirectory, PostgresServer, ServerError, ValkeyServer

DATABASE: Final = "taskflow"
STOP_SECONDS: Final = 1.5
"""What each server has to end in order; a second later it is gone in any case."""
_SECRET_FILE: Final = "jwt-secret"  # noqa: S105 - a file's name


@contextmanager
def told() -> Iterator[None]:
    """Raise what the servers refuse as what keeps TaskFlow from starting."""
    try:
        yield
    except AlreadyRunning as error:
        raise InUse(str(error)) from error
    except ServerError as error:
        raise StartError(str(error)) from error


@contextmanager
def data_directory(path: Path) -> Iterator[DataDirectory]:
    """Hold the directory, and keep it out of version control.

    Raises:
        InUse: A living process holds it.
        StartError: It cannot be used.
    """
    home = DataDirectory(path)
    with told():
        home.acquire()
    try:
        ignore = home.path / ".gitignore"
        if not ignore.exists():
            _write_private(ignore, "*\n")
        yield home
    finally:
        home.release()


@dataclass(slots=True)
class Servers:
    """The two servers, which start and stop together."""

    postgres: PostgresServer
    valkey: ValkeyServer

    @classmethod
    def of(cls, home: Path) -> Servers:
        """Return the servers of a data directory, not yet started."""
        return cls(PostgresServer(home / "postgres"), ValkeyServer(home / "valkey"))

    @property
    def database_url(self) -> str:
        """Where TaskFlow's own database is."""
        return urlunsplit(urlsplit(self.postgres.url)._replace(path=f"/{DATABASE}"))

    @property
    def redis_url(self) -> str:
        """Where Valkey is."""
        return self.valkey.url

    def start(self) -> None:
        """Start both and return when they answer.

        Raises:
            StartError: One cannot be started; `stop` ends the other.
        """
        with told():
            self.valkey.start()
            self.postgres.start()

    def revive(self, tell: Callable[[str], None]) -> None:
        """Start again what has ended by itself or was killed.

        Raises:
            StartError: It cannot be started, or not where it was.
        """
        for name, server in (("PostgreSQL", self.postgres), ("Valkey", self.valkey)):
            if server.running():
                continue
            url = server.url
            with told():
                server.stop()
                server.start()
            if server.url != url:
                raise StartError(f"{name} ended unexpectedly and could not be started where it was.")
            tell(f"{name} ended unexpectedly and was started again. Its log: {server.log}")

    def stop(self) -> None:
        """End both at once; no signal interrupts it, and no process is left."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda server: server.stop(STOP_SECONDS), (self.postgres, self.valkey)))


def signing_secret(home: Path) -> str:
    """Return the secret of this data directory, made at random at its first start."""
    path = home / _SECRET_FILE
    try:
        found = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        found = ""
    if len(found) < SECRET_BYTES_MIN:
        found = secrets.token_urlsafe(48)
        _write_private(path, found + "\n")
    return found


def running(path: Path, owners: Collection[int] | None) -> Mapping[str, Any] | None:
    """Return what a living `taskflow dev` on this directory has published; None where there is none.

    Raises:
        StartError: None of `owners` owns it, others may write to it, or it cannot be read.
    """
    try:
        with told():
            return DataDirectory.running(path, owners)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its content is damaged"
        raise StartError(f"The data directory {path} cannot be read: {why}.") from error


def _write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, whole or not at all, that belongs to whom its directory belongs to."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    new.replace(path)
