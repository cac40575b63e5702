"""A watched worker whose jobs misbehave, as a process of its own; see `support.workers`.

Arguments: the URLs of the database and of Redis, and settings as JSON: `processes`, `lease`, `time_limit`,
`hang`, `drain`, `stuck`. Its kinds of jobs: "ok" notes a refund; "gated" does so once there is the file that
its payload names as `gate`; "held" does so, but for the first time, when it goes on for ever; "poison" kills
its process; "block" stops the whole loop the first time; "deaf" swallows its cancellation the first time.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from taskflow_bootstrap.processes import Child, Processes
from taskflow_bootstrap.running import run, stop_asked
from taskflow_core import LedgerEntry
from taskflow_core.ports.persistence import Transaction
from taskflow_core.use_cases.ledger import watch
from taskflow_core.use_cases.ledger.run import Effect, RunJob
from taskflow_sqlalchemy import SqlAlchemyClaims, SqlAlchemyTransactions, open_engine
from taskflow_system import SystemChance
from taskflow_worker import slots, worker


async def refund(job: LedgerEntry, transaction: Transaction) -> None:
    transaction.samples.refund(job.id)


def say(*words: object) -> None:
    # One write, so that those of several processes do not mix.
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def ok(job: LedgerEntry) -> Effect:
    return partial(refund, job)


async def gated(job: LedgerEntry) -> Effect:
    say("began", job.id, "in", os.getpid())
    gate = Path(job.payload["gate"])
    while not gate.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
        await asyncio.sleep(0.02)
    say("passed", job.id, "in", os.getpid())
    return partial(refund, job)


async def held(job: LedgerEntry) -> Effect:
    say("began", job.id, "in", os.getpid())
    if job.tries == 1:
        await asyncio.Event().wait()
    return partial(refund, job)


async def poison(job: LedgerEntry) -> Effect:
    say("swallowed", job.id, "in", os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)
    return partial(refund, job)


async def block(job: LedgerEntry) -> Effect:
    say("began", job.id, "in", os.getpid())
    if job.tries == 1:
        time.sleep(600)  # noqa: ASYNC251 - that is the point
    return partial(refund, job)


async def deaf(job: LedgerEntry) -> Effect:
    say("began", job.id, "in", os.getpid())
    while job.tries == 1:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
    return partial(refund, job)


HANDLERS = {"ok": ok, "gated": gated, "held": held, "poison": poison, "block": block, "deaf": deaf}


def half() -> float:
    """Whatever is left to chance waits the middle of its time."""
    return SystemChance()() * 0.2


class Claiming:
    """Claims, and whether one is under way."""

    def __init__(self, claims: SqlAlchemyClaims) -> None:
        self.claims = claims
        self.under_way = 0

    async def __call__(
        self, hint: UUID | None, *, kinds: Collection[str], lease: timedelta
    ) -> LedgerEntry | None:
        self.under_way += 1
        try:
            return await self.claims(hint, kinds=kinds, lease=lease)
        finally:
            self.under_way -= 1


class TellingSlots(slots.Slots):
    """Slots that say when they claim nothing more."""

    async def stop(self, seconds: float) -> None:
        stopping = asyncio.create_task(super().stop(seconds))
        run_job: Any = self.run_job
        while not self._stopping.is_set() or run_job.claims.under_way:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        say("claims nothing more", os.getpid())
        await stopping


async def work(database_url: str, redis_url: str, settings: dict[str, float], child: Child) -> None:
    watch.STUCK_AFTER = timedelta(seconds=settings.get("stuck", 10))  # type: ignore[misc]  # less than a test waits
    # However long it takes: another who sees to that is none of what is tested.
    slots.giving_back = lambda seconds: seconds + 60.0
    worker.Slots = TellingSlots  # type: ignore[attr-defined]
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stdout))
    engine = open_engine(database_url, pool_timeout=60, statement_timeout=60)
    run_job = RunJob(
        Claiming(SqlAlchemyClaims(engine)),
        SqlAlchemyTransactions(engine),
        HANDLERS,
        half,
        timedelta(seconds=settings.get("time_limit", 10)),
        timedelta(seconds=settings.get("lease", 20)),
    )

    def ready() -> None:
        say("ready", os.getpid())
        child.ready()

    with stop_asked(child.lifeline) as stop:
        await worker.run_worker(
            run_job,
            redis_url=redis_url,
            stop=stop,
            on_ready=ready,
            beat=child.beat,
            drain=settings.get("drain", 10),
        )
    await engine.dispose()


def main() -> int:
    database_url, redis_url, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

    def do(child: Child) -> int:
        run(work(database_url, redis_url, settings, child))
        return 0

    return Processes(
        do, settings.get("processes", 1), settings.get("drain", 10) + 60, lambda: say("all ready"), say,
        settings.get("hang"),
    ).run()  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
