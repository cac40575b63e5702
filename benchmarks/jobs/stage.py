"""What each measurement runs on: servers from wheels, processes of TaskFlow, people."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks import machine
from benchmarks.faults.calling import Api
from benchmarks.faults.people import People, make_people
from benchmarks.faults.records import Attempt
from benchmarks.faults.system import Process, free_port
from taskflow_bootstrap.embedded import Settings, TaskFlow, open_taskflow
from taskflow_embedded import PostgresServer, ValkeyServer
from taskflow_sqlalchemy import migrate

_POSTGRES: Final = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "all",
    "log_min_duration_statement": "100",
}
_READY_SECONDS: Final = 60
_LEFT: Final = "SELECT count(*) FROM ledger WHERE state IN ('pending', 'running')"


@dataclass
class Stage:
    """Servers, and the processes that a measurement asks for. Durable, as TaskFlow comes."""

    directory: Path
    people: People
    postgres: PostgresServer
    valkey: ValkeyServer
    secret: str
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def database(self) -> str:
        return self.postgres.url

    def start(self, name: str, *words: str, **settings: str) -> Process:
        """Start a process of `taskflow`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKFLOW_")}
        given = {
            "database_url": self.database, "redis_url": self.redis, "jwt_secret": self.secret,
            "log_format": "json", "password_cost": "10",
            **{f"rate_limit_{name}": "off" for name in ("login", "refresh", "register", "password", "api")},
            **settings,
        }  # fmt: skip
        environment = {**kept, "NO_COLOR": "1"} | {f"TASKFLOW_{k.upper()}": v for k, v in given.items()}
        process = self.processes[name] = Process(name, list(words), environment, self.directory)
        process.start()
        return process

    @property
    def redis(self) -> str:
        return self.valkey.tcp_url or ""

    async def api(self, name: str = "api") -> Api:
        """Start the API and wait until it answers."""
        port = free_port()
        self.start(name, "serve", port=str(port))
        api = Api(port)
        async with asyncio.timeout(_READY_SECONDS):
            await until(lambda: _is_ready(api))
        return api

    async def worker(self, name: str = "worker", *words: str) -> Process:
        """Start a worker with one process and wait until it takes jobs."""
        process = self.start(name, "worker", *(words or ("--processes", "1")))
        await asyncio.to_thread(said, process, "TaskFlow does jobs")
        return process

    def stop(self, name: str) -> None:
        self.processes.pop(name).signal(signal.SIGTERM)

    def database_cpu(self) -> float:
        """Seconds, of the server and all that it started."""
        return sum(machine.cpu_seconds(pid) for pid in machine.family(self.postgres.pid))

    def ask(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return list(cursor) if cursor.description else []

    async def until_done(self) -> float:
        """Return the seconds until no job is left."""
        return await until(self._is_done)

    async def _is_done(self) -> bool:
        return (await asyncio.to_thread(self.ask, _LEFT)) == [(0,)]

    @asynccontextmanager
    async def taskflow(self) -> AsyncIterator[TaskFlow]:
        """Yield the use cases, in this process."""
        settings = Settings(
            database_url=self.database, redis_url=self.redis, jwt_secret=(self.secret,), log_level="error"
        )
        async with open_taskflow(settings) as taskflow:
            yield taskflow


@asynccontextmanager
async def staged(users: int = 20) -> AsyncIterator[Stage]:
    """Yield a stage; all of it is gone in the end."""
    with tempfile.TemporaryDirectory(prefix="taskflow-jobs-") as name:
        directory = Path(name)
        postgres = PostgresServer(directory / "postgres", settings=_POSTGRES)
        valkey = ValkeyServer(directory / "valkey", port=free_port())
        with postgres, valkey:
            await migrate(postgres.url)
            secret = secrets.token_urlsafe(48)
            people = await make_people(postgres.url, secret, users)
            stage = Stage(directory, people, postgres, valkey, secret)
            stage.ask("CREATE EXTENSION pg_stat_statements")
            try:
                yield stage
            finally:
                for process in stage.processes.values():
                    with suppress(ProcessLookupError):
                        process.signal(signal.SIGTERM)


async def _is_ready(api: Api) -> bool:
    return (await api.call("", "GET", "/health/ready")).acknowledged


async def until(holds: Callable[[], Coroutine[Any, Any, bool]], every: float = 0.05) -> float:
    """Return the seconds until something holds."""
    begin = time.perf_counter()
    while True:
        if await holds():
            return time.perf_counter() - begin
        await asyncio.sleep(every)


def said(process: Process, words: str) -> None:
    """Wait until a process has said something."""
    deadline = time.monotonic() + _READY_SECONDS
    while words not in process.log.read_text(encoding="utf-8"):
        if process.ended() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.name} did not start: {process.log.read_text(encoding='utf-8')}")
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Answered:
    """A request: seconds from when it was due to be sent until it was answered."""

    seconds: float
    attempt: Attempt


async def at_rate(
    send: Callable[[], Coroutine[Any, Any, Attempt]], per_second: float, seconds: float
) -> list[Answered]:
    """Send at a steady rate, whether or not the answers keep up; late sending counts as waiting."""
    begin = time.perf_counter()

    async def one(due: float) -> Answered:
        attempt = await send()
        return Answered(time.perf_counter() - due, attempt)

    tasks = []
    for number in range(int(per_second * seconds)):
        due = begin + number / per_second
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(due)))
    return await asyncio.gather(*tasks)


def percentile(answers: Iterable[Answered], n: int) -> float:
    """Return milliseconds."""
    return statistics.quantiles([each.seconds for each in answers], n=100)[n - 1] * 1000


def refused(answers: Iterable[Answered]) -> int:
    return sum(not each.attempt.acknowledged for each in answers)


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, in words, and whether it is what it should be; None where nothing is asked."""

    text: str
    met: bool | None = None

    def __str__(self) -> str:
        verdict = {True: "   met", False: "   NOT MET", None: ""}[self.met]
        return f"  {self.text}{verdict}"
