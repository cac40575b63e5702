"""One run: servers, processes, people, load, kills, and the accounting in the end."""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from benchmarks.faults import snapshot
from benchmarks.faults.accounting import Account, account
from benchmarks.faults.calling import Api, content
from benchmarks.faults.clients import Client
from benchmarks.faults.findings import Finding, broken, late
from benchmarks.faults.mail import Sink, receiving
from benchmarks.faults.others import Keeper, Sampler
from benchmarks.faults.people import People, make_people
from benchmarks.faults.records import Book, Operation
from benchmarks.faults.schedule import Kill, Target, schedule
from benchmarks.faults.settling import Left, settle
from benchmarks.faults.system import System
from benchmarks.faults.tampering import unseen
from benchmarks.faults.watching import Recovery, Watcher
from taskflow_bootstrap.embedded import Settings, open_taskflow
from taskflow_sqlalchemy import migrate

SHARED: Final = 12
"""Tasks that all clients race for."""
_READY_SECONDS: Final = 60
_LAST_ANSWERS: Final = 60
"""Seconds that the clients have for what they have begun, once the last kill is over."""
_SETTLE_SECONDS: Final = 180


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to happen; the same seed kills the same and draws the same."""

    kills: int
    seed: int
    clients: int = 10
    pause: float = 0.05
    warm_up: float = 3


@dataclass(slots=True)
class Outcome:
    """What a run came to.

    Attributes:
        alone: How long a worker and a scheduler took with the others gone.
        tracebacks: How many the log of each process has.
    """

    plan: Plan
    account: Account
    recoveries: list[Recovery]
    alone: list[Recovery]
    left: Left
    settled: float
    seconds: float
    put_off: int
    tracebacks: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


async def run(plan: Plan, directory: Path) -> Outcome:
    """Return what became of everything; nothing runs any more then."""
    book = Book()
    sink = Sink(book.mails)
    async with receiving(sink) as smtp_port:
        system = System(directory, secrets.token_urlsafe(48), smtp_port)
        try:
            run = await _started(plan, system, book)
            outcome = await run.through()
        finally:
            await asyncio.to_thread(system.stop)
    outcome.put_off = sink.put_off
    outcome.tracebacks = _tracebacks(system)
    return outcome


async def _started(plan: Plan, system: System, book: Book) -> Run:
    await asyncio.to_thread(system.start_servers)
    await migrate(system.database_url)
    people = await make_people(system.database_url, system.secret, plan.clients)
    system.start_processes()
    apis = [Api(port) for port in system.api_ports]
    async with asyncio.timeout(_READY_SECONDS):
        for api in apis:
            await _until_ready(api)
    return Run(plan, system, book, people, apis)


async def _until_ready(api: Api) -> None:
    while True:
        if (await api.call("", "GET", "/health/ready")).acknowledged:
            return
        await asyncio.sleep(0.1)


@dataclass
class Run:
    """A run whose processes answer."""

    plan: Plan
    system: System
    book: Book
    people: People
    apis: list[Api]
    recoveries: list[Recovery] = field(default_factory=list)
    alone: list[Recovery] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = Watcher(self.people, self.apis, self.book, self.system.database_url)
        self.stop = asyncio.Event()

    async def through(self) -> Outcome:
        begin = time.monotonic()
        shared = [await self._shared() for _ in range(SHARED)]
        async with self._load(shared):
            await asyncio.sleep(self.plan.warm_up)
            await self._kill()
        self.findings += [finding for each in self.recoveries for finding in each.findings()]
        tell("settling")
        left, settled = await settle(self.system.database_url, _SETTLE_SECONDS)
        if not any(left):
            await self._alone()
            left, _ = await settle(self.system.database_url, _SETTLE_SECONDS)
        self.system.look_after()
        self.findings += [broken(what) for what in self.system.ended]
        counted, overlooked = await asyncio.to_thread(self._account)
        self.findings += [
            *counted.findings,
            *(broken(f"the accounting did not see: {what}") for what in overlooked),
        ]
        seconds = time.monotonic() - begin
        return Outcome(
            self.plan, counted, self.recoveries, self.alone, left, settled, seconds, 0, {}, self.findings
        )

    def _account(self) -> tuple[Account, list[str]]:
        """Return the account, and what it would not have seen."""
        with snapshot.opened(self.system.database_url) as connection:
            counted = account(self.book, snapshot.read(connection))
        return counted, unseen(self.system.database_url, self.book)

    async def _shared(self) -> UUID:
        changes: dict[str, str | None] = {"title": "Shared"}
        operation = self.book.add(Operation("shared", self.people.shared.id, "created", (), changes))
        token, noted = self.people.shared.token, operation.attempts
        answer = await self.apis[0].call(token, "POST", "/tasks", changes, into=noted)
        assert answer.acknowledged, answer
        return UUID(content(answer)["id"])

    @asynccontextmanager
    async def _load(self, shared: list[UUID]) -> AsyncIterator[None]:
        """Have everybody at work; in the end everybody gets the answers that are due."""
        settings = Settings(
            database_url=self.system.database_url,
            redis_url=self.system.redis_url,
            jwt_secret=(self.system.secret,),
        )
        plan = self.plan
        async with open_taskflow(settings) as taskflow:
            works: list[Coroutine[Any, Any, None]] = [
                Client(
                    number, plan.seed, self.people, self.apis, self.book, shared, self.stop, plan.pause
                ).run()
                for number in range(plan.clients)
            ]
            draw = random.Random(plan.seed)
            works.append(Sampler(taskflow.use_cases, self.book, draw, self.stop, plan.pause).run())
            works.append(Keeper(self.people.keeper, self.apis, self.book, draw, self.stop).run())
            tasks = [asyncio.create_task(work) for work in works]
            yield
            self.stop.set()
            _, pending = await asyncio.wait(tasks, timeout=_LAST_ANSWERS)
            self.findings += [late(f"a client waited over {_LAST_ANSWERS} s for its answer")] * len(pending)
            for task in pending:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result

    async def _kill(self) -> None:
        """Kill by the schedule, and see everything work again after each."""
        watches: list[asyncio.Task[Recovery]] = []
        for kill in schedule(self.plan.kills, self.plan.seed):
            await asyncio.sleep(kill.after)
            since = time.monotonic()
            await self.system.kill(kill)
            watches.append(asyncio.create_task(self._seen(kill, since)))
        self.recoveries = await asyncio.gather(*watches)

    async def _seen(self, kill: Kill, since: float) -> Recovery:
        recovery = await self.watch(f"kill {kill.number}, {kill}", since)
        tell(f"{recovery.what}: API {recovery.apis:.1f} s, jobs {recovery.job:.1f} s")
        return recovery

    async def _alone(self) -> None:
        """See each worker and each scheduler do the work with the others gone: all of them came back."""
        for number in (0, 1):
            others = [self.system.processes[name] for name in (f"worker {number}", f"scheduler {number}")]
            for other in others:
                await asyncio.to_thread(other.kill)
            self.alone.append(await self.watch(f"without {Target(others[0].name)}", time.monotonic()))
            tell(f"{self.alone[-1].what}: {self.alone[-1].job:.1f} s")
            for other in others:
                other.start()
        self.findings += [finding for each in self.alone for finding in each.findings()]


def _tracebacks(system: System) -> dict[str, int]:
    counts = {
        name: process.log.read_text(encoding="utf-8", errors="replace").count("Traceback (most recent")
        for name, process in system.processes.items()
    }
    return {name: number for name, number in counts.items() if number}


def tell(text: str) -> None:
    """Say how far it has come."""
    print(text, file=sys.stderr, flush=True)
