"""The processes and servers that are killed, and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from redis import Redis

from benchmarks import machine
from benchmarks.faults.schedule import Kill, Target
from taskflow_embedded import PostgresServer, ValkeyServer

_STOP_SECONDS: Final = 20
_WORKS: Final = b"TaskFlow does jobs"
"""What a worker says once its processes take jobs."""
_TASKFLOW: Final = Path(sys.executable).with_name("taskflow")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Process:
    """A `taskflow` of some kind; what it says goes to a file.

    Attributes:
        said_before: Bytes in that file when it was started last.
    """

    name: str
    words: list[str]
    environment: Mapping[str, str]
    directory: Path
    running: subprocess.Popen[bytes] | None = None
    said_before: int = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.said_before = log.tell()
            self.running = subprocess.Popen(
                [str(_TASKFLOW), *self.words],
                env=dict(self.environment),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name.replace(' ', '-')}.log"

    @property
    def pid(self) -> int:
        assert self.running is not None
        return self.running.pid

    def ended(self) -> int | None:
        """Return the exit code of one that nobody killed; None while it runs."""
        return None if self.running is None else self.running.poll()

    def has_said(self, words: bytes) -> bool:
        """Return whether it has, since it was started."""
        with self.log.open("rb") as log:
            log.seek(self.said_before)
            return words in log.read()

    def kill(self, *, child: bool = False) -> None:
        """End it by SIGKILL, or the process that it watches, once that has begun."""
        # One that cannot even begin is given up, and rightly so.
        children = machine.family(self.pid)[1:] if child and self.has_said(_WORKS) else []
        if children:
            with suppress(ProcessLookupError):
                os.kill(children[-1], signal.SIGKILL)
            return
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal that ends it, and wait until that has happened."""
        if self.running is not None:
            self.running.send_signal(number)
            try:
                self.running.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.running.kill()
                self.running.wait()
            self.running = None


@dataclass
class System:
    """All that runs. What blocks is done in threads.

    Attributes:
        ended: What ended though nobody killed it.
    """

    directory: Path
    secret: str
    smtp_port: int
    processes: dict[str, Process] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.api_ports = (free_port(), free_port())
        self.postgres = PostgresServer(self.directory / "postgres", port=free_port())
        port = free_port()
        self._valkeys = {
            aof: ValkeyServer(
                self.directory / "valkey", port=port, settings={"appendonly": "yes" if aof else "no"}
            )
            for aof in (True, False)
        }
        self._valkey = self._valkeys[True]

    def start_servers(self) -> None:
        self.postgres.start()
        self._valkey.start()

    @property
    def database_url(self) -> str:
        return self.postgres.tcp_url or ""

    @property
    def redis_url(self) -> str:
        return self._valkey.tcp_url or ""

    def settings(self, **more: str) -> dict[str, str]:
        """Return the environment of a `taskflow`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKFLOW_")}
        given = {
            "database_url": self.database_url, "redis_url": self.redis_url, "jwt_secret": self.secret,
            "log_format": "json", "log_level": "info", "password_cost": "10",
            "smtp_url": f"smtp://127.0.0.1:{self.smtp_port}?tls=none", "mail_from": "taskflow@example.com",
            **{f"rate_limit_{name}": "off" for name in ("login", "refresh", "register", "password", "api")},
            **more,
        }  # fmt: skip
        return {
            **kept,
            "NO_COLOR": "1",
            **{f"TASKFLOW_{name.upper()}": value for name, value in given.items()},
        }

    def start_processes(self) -> None:
        for number, port in enumerate(self.api_ports):
            self._add(f"api {number}", ["serve"], port=str(port))
            self._add(f"worker {number}", ["worker", "--processes", "1"])
            self._add(f"scheduler {number}", ["scheduler"])

    def _add(self, name: str, words: list[str], **settings: str) -> None:
        self.processes[name] = Process(name, words, self.settings(**settings), self.directory)
        self.processes[name].start()

    async def kill(self, kill: Kill) -> None:
        """Kill, and start again."""
        target = kill.target
        if target is Target.FLUSHALL:
            await asyncio.to_thread(self._flush)
        elif target is Target.POSTMASTER:
            await asyncio.to_thread(self.postgres.kill)
            await asyncio.sleep(kill.pause)
            await asyncio.to_thread(self.postgres.start)
        elif target in (Target.VALKEY_AOF, Target.VALKEY_PLAIN):
            await self._kill_valkey(kill)
        else:
            await self._kill_process(self.processes[target], kill)

    async def _kill_process(self, process: Process, kill: Kill) -> None:
        self.look_after()
        process.kill(child=kill.child)
        if not kill.child or process.running is None:
            await asyncio.sleep(kill.pause)
            process.start()

    async def _kill_valkey(self, kill: Kill) -> None:
        """Kill it as one that writes its file or as one that does not, and bring it back likewise."""
        aof = kill.target is Target.VALKEY_AOF
        await asyncio.to_thread(self._write_file, aof)
        await asyncio.to_thread(self._valkey.kill)
        await asyncio.sleep(kill.pause)
        self._valkey = self._valkeys[aof]
        await asyncio.to_thread(self._valkey.start)

    def _write_file(self, aof: bool) -> None:
        with Redis.from_url(self.redis_url, socket_timeout=5) as client:
            client.config_set("appendonly", "yes" if aof else "no")

    def _flush(self) -> None:
        with Redis.from_url(self.redis_url, socket_timeout=5) as client:
            client.flushall()

    def look_after(self) -> None:
        """Note what ended though nobody killed it, and start it again."""
        for process in self.processes.values():
            code = process.ended()
            if code is not None:
                self.ended.append(f"{process.name} ended by itself, with exit code {code}; see {process.log}")
                process.start()

    def stop(self) -> None:
        for process in self.processes.values():
            if process.running is not None and process.ended() is None:
                process.running.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.signal(signal.SIGTERM)
        self._valkey.stop()
        self.postgres.stop()
