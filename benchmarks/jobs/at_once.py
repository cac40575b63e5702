"""Tasks that are changed right after they are made; and a thousand that move to somebody else at once."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from benchmarks.faults.calling import Api, content
from benchmarks.jobs.stage import Figure, Stage, staged

TIMES = 10_000
CLIENTS = 32
BATCH = 1_000
ROUNDS = 5


async def create_then_change() -> list[Figure]:
    """Create, then change at once, 10,000 times on two instances: none has a wrong status."""
    async with staged() as stage:
        apis = [await stage.api("api 0"), await stage.api("api 1")]
        await stage.worker()
        stage.start("scheduler", "scheduler")
        numbers = iter(range(TIMES))
        wanted: dict[str, str] = {}
        wrong: list[str] = []
        clients = (_client(stage, apis, numbers, wanted, wrong) for _ in range(CLIENTS))
        begin = time.perf_counter()
        await asyncio.gather(*clients)
        seconds = time.perf_counter() - begin
        await stage.until_done()
        kept = {str(id): status for id, status in stage.ask("SELECT id, status FROM tasks")}
    wrong += [id for id, status in wanted.items() if kept.get(id) != status]
    return [
        Figure(f"{len(wrong)} of {len(wanted):,} with a wrong status (target 0)", met=not wrong),
        Figure(f"{len(wanted) / seconds:.0f} a second, each read once by the other instance"),
    ]


async def _client(
    stage: Stage, apis: list[Api], numbers: Any, wanted: dict[str, str], wrong: list[str]
) -> None:
    """Make for somebody else, so that there is a job; change and read on the other instance."""
    people = stage.people
    for number in numbers:
        here, there = apis[number % 2], apis[(number + 1) % 2]
        owner = people.users[number % len(people.users)]
        body = {"title": f"Task {number}", "userId": str(owner.id)}
        made = content(await here.call(people.manager.token, "POST", "/tasks", body))
        status = ("IN_PROGRESS", "COMPLETED", "CANCELLED")[number % 3]
        path = f"/tasks/{made['id']}"
        changed = content(await there.call(owner.token, "PATCH", path, {"status": status}))
        read = content(await here.call(owner.token, "GET", path))
        wanted[made["id"]] = status
        if changed.get("status") != status or read.get("status") != status:
            wrong.append(made["id"])


async def batch_moves() -> list[Figure]:
    """A batch that moves 1,000 tasks to somebody else, each with a job, against one that renames them."""
    async with staged() as stage:
        api = await stage.api()
        await stage.worker()
        stage.start("scheduler", "scheduler")
        ids = await _made(stage, api)
        renames, moves, jobs = [], [], []
        for number in range(ROUNDS):
            renames.append(await _batch(stage, api, ids, {"title": f"Round {number}"}))
            owner = stage.people.users[1 + number % 2]
            moves.append(await _batch(stage, api, ids, {"userId": str(owner.id)}))
            jobs.append(await stage.until_done())
    times = statistics.median(moves) / statistics.median(renames)
    return [
        Figure(f"renaming {BATCH:,}: {statistics.median(renames) * 1000:.0f} ms (median of {ROUNDS})"),
        Figure(f"moving {BATCH:,}: {statistics.median(moves) * 1000:.0f} ms, {times:.2f} times that"),
        Figure(f"their jobs were done {statistics.median(jobs):.1f} s later"),
    ]


async def _made(stage: Stage, api: Api) -> list[str]:
    person = stage.people.users[0]
    answers = [await api.call(person.token, "POST", "/tasks", {"title": "A task"}) for _ in range(BATCH)]
    return [content(answer)["id"] for answer in answers]


async def _batch(stage: Stage, api: Api, ids: list[str], change: dict[str, str]) -> float:
    begin = time.perf_counter()
    body = {"action": "update", "tasks": ids, "set": change}
    answer = await api.call(stage.people.manager.token, "POST", "/tasks/batch", body)
    assert answer.acknowledged, answer.body
    return time.perf_counter() - begin
