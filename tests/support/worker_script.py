"""A watched worker whose jobs misbehave, as a process of its own; see `support.workers`.

Arguments: the URLs of the database and of Redis, and settings as JSON: `processes`, `lease`, `time_limit`,
`hang`, `drain`, `stuck`. Its kinds of jobs: "ok" notes a refund; "slow" does so after `seconds` of its
payload; "poison" kills its process; "block" stops the whole loop the first time; "deaf" swallows its
cancellation the first time.
"""

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import suppress
from datetime import timedelta
from functools import partial

import structlog

from taskflow_bootstrap.processes import Child, Processes
from taskflow_bootstrap.running import run, stop_asked
from taskflow_core import LedgerEntry
from taskflow_core.ports.persistence import Transaction
from taskflow_core.use_cases.ledger import watch
from taskflow_core.use_cases.ledger.run import Effect, RunJob
from taskflow_sqlalchemy import SqlAlchemyClaims, SqlAlchemyTransactions, open_engine
from taskflow_system import SystemChance
from taskflow_worker.worker import run_worker


async def refund(job: LedgerEntry, transaction: Transaction) -> None:
    transaction.samples.refund(job.id)


def say(*words: object) -> None:
    # One write, so that those of several processes do not mix.
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def ok(job: LedgerEntry) -> Effect:
    return partial(refund, job)


async def slow(job: LedgerEntry) -> Effect:
    say("began", job.id, "in", os.getpid())
    await asyncio.sleep(float(job.payload["seconds"]))
    say("slept", job.id, "in", os.getpid())
    return partial(refund, job)


async def poison(job: LedgerEntry) -> Effect:
    say("swallowed", job.id, "in", os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)
    return partial(refund, job)


async def block(job: LedgerEntry) -> Effect:
    say("began", job.id, "in", os.getpid())
    if job.tries == 1:
        time.sleep(60)  # noqa: ASYNC251 - that is the point
    return partial(refund, job)


async def deaf(job: LedgerEntry) -> Effect:
    say("began", job.id, "in", os.getpid())
    while job.tries == 1:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
    return partial(refund, job)


HANDLERS = {"ok": ok, "slow": slow, "poison": poison, "block": block, "deaf": deaf}


def half() -> float:
    """Whatever is left to chance waits the middle of its time."""
    return SystemChance()() * 0.2


async def work(database_url: str, redis_url: str, settings: dict[str, float], child: Child) -> None:
    watch.STUCK_AFTER = timedelta(seconds=settings.get("stuck", 10))  # type: ignore[misc]  # less than a test waits
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stdout))
    engine = open_engine(database_url)
    run_job = RunJob(
        SqlAlchemyClaims(engine),
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
        await run_worker(
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
        do, settings.get("processes", 1), settings.get("drain", 10) + 5, lambda: say("all ready"), say,
        settings.get("hang"),
    ).run()  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
