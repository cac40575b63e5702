"""Whether a queue full of hints at nothing delays a job."""

from __future__ import annotations

import asyncio
import statistics
import time
from uuid import uuid4

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from benchmarks.jobs.stage import Figure, Stage, staged, until
from taskflow_bootstrap.embedded import TaskFlow
from taskflow_core import Actor, Sample

HINTS = 10_000
ROUNDS = 5
TARGET = 2.0
"""Seconds."""


async def junk() -> list[Figure]:
    """10,000 hints of unknown ids stand before a fresh job."""
    without, behind = [], []
    async with staged() as stage, stage.taskflow() as taskflow:
        await stage.worker()
        stage.start("scheduler", "scheduler")
        await _seconds(stage, taskflow)
        for _ in range(ROUNDS):
            without.append(await _seconds(stage, taskflow))
            await asyncio.to_thread(_fill, stage.redis)
            behind.append(await _seconds(stage, taskflow))
            await asyncio.to_thread(_drain, stage.redis)
    usual, median, worst = statistics.median(without), statistics.median(behind), max(behind)
    took = f"{median * 1000:.0f} ms (median), {worst * 1000:.0f} ms at worst"
    return [
        Figure(f"a fresh job was done after {usual * 1000:.0f} ms (median)"),
        Figure(
            f"behind {HINTS:,} hints of unknown ids after {took} (target {TARGET:g} s more)",
            met=worst - usual <= TARGET,
        ),
    ]


async def _seconds(stage: Stage, taskflow: TaskFlow) -> float:
    begin = time.perf_counter()
    job = await taskflow.use_cases.add_sample(Sample(), Actor.operator())

    async def is_done() -> bool:
        return stage.ask("SELECT state FROM ledger WHERE id = %s", job.id) == [("done",)]

    await until(is_done, every=0.005)
    return time.perf_counter() - begin


def _fill(url: str) -> None:
    """Put them all there at one moment."""
    with Redis.from_url(url) as client, client.pipeline(transaction=True) as pipeline:
        queue = Queue("taskflow", connection=client, serializer=JSONSerializer)
        ids = [str(uuid4()) for _ in range(HINTS)]
        hints = [
            Queue.prepare_data("taskflow_worker.handlers.run", (id,), timeout=-1, result_ttl=0, job_id=id)
            for id in ids
        ]
        queue.enqueue_many(hints, pipeline=pipeline)
        pipeline.execute()


def _drain(url: str) -> None:
    """Wait until all were taken."""
    with Redis.from_url(url) as client:
        queue = Queue("taskflow", connection=client, serializer=JSONSerializer)
        while queue.count:
            time.sleep(0.05)
