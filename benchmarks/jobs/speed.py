"""Jobs a second of one worker process, beside RQ that calls a function which does nothing."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time

from redis import Redis
from rq import Queue

from benchmarks.faults.system import free_port
from benchmarks.jobs.stage import Figure, Stage, staged
from taskflow_embedded import ValkeyServer

JOBS = 3_000
ROUNDS = 3
TARGET = 0.5
_FILL = """
INSERT INTO ledger (id, kind, payload, state, tries, max_tries, fence, run_at, created_at)
SELECT gen_random_uuid(), 'sample.refund', '{"fail": "0"}', 'pending', 0, 5, 0, now(), now()
FROM generate_series(1, %s)
"""
_SECONDS = "SELECT extract(epoch FROM max(finished_at) - min(finished_at))::float8, count(*) FROM ledger"
_BARE = """
import sys, time
from redis import Redis
from rq import Queue, SimpleWorker
client = Redis.from_url(sys.argv[1])
worker = SimpleWorker([Queue("bare", connection=client)], connection=client)
begin = time.perf_counter()
worker.work(burst=True, logging_level="WARNING")
print(time.perf_counter() - begin)
"""


def nothing() -> None:
    """What the bare worker calls."""


async def speed() -> list[Figure]:
    """Ledger jobs a second of one process against bare RQ."""
    ours, bare = [], []
    async with staged() as stage:
        for _ in range(ROUNDS):
            bare.append(await asyncio.to_thread(_bare, stage))
            ours.append(await _ours(stage))
    ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, bare, strict=True))
    return [
        Figure(f"bare RQ: {', '.join(f'{each:.0f}' for each in bare)} jobs/s"),
        Figure(
            f"the ledger: {', '.join(f'{each:.0f}' for each in ours)} jobs/s, each with a row as its effect"
        ),
        Figure(f"{ratio:.2f} times (median of the rounds, target {TARGET:g})", met=ratio >= TARGET),
    ]


async def _ours(stage: Stage) -> float:
    """Return jobs a second from the first that is done to the last, by the clock of the database."""
    stage.ask("TRUNCATE ledger CASCADE")
    stage.ask(_FILL, JOBS)
    stage.ask("VACUUM ANALYZE ledger")
    await stage.worker()
    await stage.until_done()
    stage.stop("worker")
    seconds, number = stage.ask(_SECONDS)[0]
    return float((number - 1) / seconds)


def _bare(stage: Stage) -> float:
    """Return jobs a second, in a process and with a Redis of its own."""
    server = ValkeyServer(stage.directory / f"bare{time.monotonic_ns()}", port=free_port())
    with server, Redis.from_url(server.tcp_url or "") as client:
        queue = Queue("bare", connection=client)
        with client.pipeline() as pipeline:
            jobs = [Queue.prepare_data("benchmarks.jobs.speed.nothing") for _ in range(JOBS)]
            queue.enqueue_many(jobs, pipeline=pipeline)
            pipeline.execute()
        words = [sys.executable, "-c", _BARE, server.tcp_url or ""]
        ran = subprocess.run(words, capture_output=True, text=True, check=True)
    return JOBS / float(ran.stdout)
