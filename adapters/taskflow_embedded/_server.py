"""What the two servers share: the order of starting, and that a failed start leaves nothing running."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from taskflow_embedded._process import Ending, Program, ServerProcess, end_leftover
from taskflow_embedded._sockets import forget_socket_directory, socket_directory
from taskflow_embedded.directory import DataDirectory
from taskflow_embedded.errors import ServerError

_START_SECONDS = 60.0
_LOG_LINES = 15
_LOG_BYTES = 10_000_000


class Server(ABC):
    """A server over one data directory, from `start` to `stop`. Its methods block: use a thread in async.

    `directory` becomes the server's own (mode 0700). `settings` are configuration values added to, or put
    in place of, ours. `port`, when given, opens TCP on 127.0.0.1 beside the socket, with a password
    (`tcp_url`). `durable=False` trades all safety against crashes for speed: for tests.
    """

    _name: str
    _ending: Ending

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        durable: bool = True,
    ) -> None:
        self._home = DataDirectory(directory)
        self._settings = dict(settings or {})
        self._port = port
        self._durable = durable
        self._process: ServerProcess | None = None
        self._sockets = self._home.path

    @property
    def directory(self) -> Path:
        """The data directory, absolute."""
        return self._home.path

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self.directory / f"{self._name.lower()}.log"

    @property
    def pid(self) -> int:
        """The server's process id. Raises `ServerError` when it was not started."""
        return self._started().pid

    @property
    def url(self) -> str:
        """Where this user's clients reach it, on a private Unix socket. `ServerError` when not started."""
        self._started()
        return self._socket_url()

    @property
    def tcp_url(self) -> str | None:
        """The same over TCP with a password, None without a `port`. `ServerError` when not started."""
        self._started()
        return None if self._port is None else self._port_url(self._port)

    def running(self) -> bool:
        """Whether the server was started and lives."""
        return self._process is not None and self._process.running()

    def start(self) -> None:
        """Start, and return when the server answers.

        A server that a killed process left on the directory is stopped first. Raises `AlreadyRunning` when
        a living process uses the directory, before anything in it is touched, and `ServerError` for all
        else; then nothing is left running.
        """
        self._home.acquire()
        try:
            os.close(end_leftover(self._ending, self._process_lock))
            self._rotate_log()
            log_start = self.log.stat().st_size if self.log.exists() else 0
            program = self._prepare()
            self._sockets = socket_directory(self.directory, self._socket_name)
            self._process = ServerProcess(self._complete(program), lock=self._process_lock, log=self.log)
            self._wait_until_ready(self._process, log_start)
            self._home.publish({"url": self.url, "tcp_url": self.tcp_url, "server_pid": self.pid})
        except OSError as error:
            self.kill()
            raise ServerError(f"{self._name} could not be started in {self.directory}: {error}.") from error
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout: float = 4.0) -> None:
        """Stop in good order; after `timeout` seconds by force. No process is left.

        Nothing that was durable is lost either way. Does nothing when not started.
        """
        if self._process is not None:
            self._process.stop(timeout)
        self._end()

    def kill(self) -> None:
        """End the server as a crash would, with SIGKILL: for tests, and for what did not start."""
        if self._process is not None:
            self._process.kill()
        self._end()

    def _end(self) -> None:
        self._process = None
        if self._home.held:
            forget_socket_directory(self.directory)
            self._home.release()

    @property
    @abstractmethod
    def _socket_name(self) -> str:
        """The socket's file name."""

    @abstractmethod
    def _socket_url(self) -> str:
        """The address through the socket."""

    @abstractmethod
    def _port_url(self, port: int) -> str:
        """The address through TCP."""

    @abstractmethod
    def _prepare(self) -> Program:
        """Make the data ready; the program to run, whose arguments `_complete` adds to."""

    @abstractmethod
    def _complete(self, program: Program) -> Program:
        """The program with its configuration, now that the socket's place is known."""

    @abstractmethod
    def _is_ready(self, pid: int) -> bool:
        """Whether clients are answered."""

    @property
    def _process_lock(self) -> Path:
        return self.directory / "server.lock"

    def _started(self) -> ServerProcess:
        if self._process is None:
            raise ServerError(f"{self._name} in {self.directory} is not started.")
        return self._process

    def _wait_until_ready(self, process: ServerProcess, log_start: int) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready(process.pid):
            if not process.running():
                raise ServerError(f"{self._name} ended while starting. {self._log_tail(log_start)}")
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self._name} was not ready in {_START_SECONDS:.0f} s. {self._log_tail(log_start)}"
                )
            time.sleep(0.01)

    def _log_tail(self, start: int) -> str:
        with self.log.open("rb") as file:
            file.seek(start)
            lines = file.read().decode(errors="replace").splitlines()
        return f"The end of its log, {self.log}:\n" + "\n".join(lines[-_LOG_LINES:])

    def _rotate_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
