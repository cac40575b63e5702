"""Redis away for a minute: whether creating tasks and doing their jobs goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from functools import partial

from benchmarks.faults.calling import Api
from benchmarks.faults.records import Attempt
from benchmarks.jobs.stage import Figure, Stage, at_rate, percentile, refused, staged

AWAY: float = 60
"""Seconds."""
UP: float = 30
RATE: float = 30
"""Creates a second."""
TIMES = 2.0
WITHIN: float = 10
"""Seconds after its return."""
_UNDONE = "SELECT count(*) FROM ledger WHERE state IN ('pending', 'running')"
_LATEST = (
    "SELECT coalesce(extract(epoch FROM max(finished_at - created_at)), 0)::float8, count(*) FROM ledger "
    "WHERE kind = 'task.assigned' AND created_at >= %s"
)


async def redis_stopped() -> list[Figure]:
    """Redis is killed for 60 s."""
    return await _outage(hangs=False)


async def redis_hangs() -> list[Figure]:
    """Redis takes connections for 60 s and answers nothing."""
    return await _outage(hangs=True)


async def _outage(*, hangs: bool) -> list[Figure]:
    async with staged() as stage:
        api = await stage.api()
        await stage.worker()
        stage.start("scheduler", "scheduler")
        send = partial(_create, api, stage)
        await at_rate(send, RATE, 5)
        up = await at_rate(send, RATE, UP)
        (begin,) = stage.ask("SELECT now()")[0]
        _pause(stage, hangs=hangs)
        away = await at_rate(send, RATE, AWAY)
        left = stage.ask(_UNDONE)[0][0]
        await asyncio.to_thread(_resume, stage, hangs=hangs)
        after = await stage.until_done()
        worst, number = stage.ask(_LATEST, begin)[0]
        hinted = await _hinted(stage, api)
    times = percentile(away, 99) / percentile(up, 99)
    return [
        Figure(
            f"p99 of creates with a job {percentile(away, 99):.1f} ms away, {percentile(up, 99):.1f} ms up: "
            f"{times:.2f} times (target {TIMES:g})",
            met=times <= TIMES,
        ),
        Figure(f"p50 {percentile(away, 50):.1f} ms away, {percentile(up, 50):.1f} ms up"),
        Figure(f"{refused(away)} of {len(away)} creates not answered 2xx (target 0)", met=not refused(away)),
        Figure(
            f"{left} of {number} jobs not done at its return, none {after:.1f} s later (target {WITHIN:g})",
            met=after <= WITHIN,
        ),
        Figure(f"the longest that a job of that time took: {worst:.1f} s"),
        Figure(f"a job was done within 0.3 s again {hinted:.1f} s after that", met=hinted <= WITHIN),
    ]


async def _create(api: Api, stage: Stage) -> Attempt:
    people = stage.people
    body = {"title": "Somebody's", "userId": str(people.users[0].id)}
    return await api.call(people.manager.token, "POST", "/tasks", body)


def _pause(stage: Stage, *, hangs: bool) -> None:
    if hangs:
        os.kill(stage.valkey.pid, signal.SIGSTOP)
    else:
        stage.valkey.kill()


def _resume(stage: Stage, *, hangs: bool) -> None:
    if hangs:
        os.kill(stage.valkey.pid, signal.SIGCONT)
    else:
        stage.valkey.start()


async def _hinted(stage: Stage, api: Api) -> float:
    """Return the seconds until a new job is done so soon that it must have been hinted."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < 60:
        attempt = await _create(api, stage)
        await asyncio.sleep(0.3)
        state = stage.ask("SELECT state FROM ledger WHERE request_id = %s", attempt.request_id)
        if state == [("done",)]:
            return time.perf_counter() - begin - 0.3
    return float("inf")
