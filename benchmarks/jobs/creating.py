"""What a job adds to the cost of making a task."""

from __future__ import annotations

import asyncio
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from redis import Redis

from benchmarks import machine
from benchmarks.driving import Driver
from benchmarks.jobs.stage import Figure, Stage, staged
from benchmarks.workload import Endpoint, Target

SECONDS = 5.0
ROUNDS = 5
CONNECTIONS = 16
TARGET = 1.35
_CREATE = Endpoint(
    name="create",
    method="POST",
    path="/tasks",
    body='{"title": "Call back $number", "priority": "HIGH", "dueDate": "2030-01-31T17:00:00Z", '
    '"userId": "$id"}',
)


class Cost(NamedTuple):
    """Of one request: microseconds of CPU, and how it was answered."""

    api: float
    database: float
    per_second: float
    p50: float
    p99: float

    @property
    def cpu(self) -> float:
        return self.api + self.database


async def creating() -> list[Figure]:
    """Making a task for somebody else, which makes a job, against making one for oneself."""
    async with staged() as stage:
        api = await stage.api()
        # The same people with the same rights make tasks for themselves and for each other.
        stage.ask("UPDATE users SET role = 'manager' WHERE role = 'user'")
        own, others = _targets(stage, 0), _targets(stage, 1)
        driver = Driver(CONNECTIONS, stage.directory)
        costs: dict[bool, list[Cost]] = {False: [], True: []}

        def measure(targets: list[Target], seconds: float) -> Cost:
            return _measured(stage, driver, f"http://127.0.0.1:{api.port}", targets, seconds)

        with _nobody_hinted(stage.redis):
            await asyncio.to_thread(measure, others, 2)
            for number in range(2 * ROUNDS):
                with_job = bool(number % 2)
                cost = await asyncio.to_thread(measure, others if with_job else own, SECONDS)
                costs[with_job].append(cost)
    return _figures(costs, driver)


def _targets(stage: Stage, ahead: int) -> list[Target]:
    """Return everybody, each with the owner of the tasks to make: who comes so far after."""
    users = stage.people.users
    owners = users[ahead:] + users[:ahead]
    return [
        Target(user.token, user.email, [str(owner.id)]) for user, owner in zip(users, owners, strict=True)
    ]


def _measured(stage: Stage, driver: Driver, url: str, targets: list[Target], seconds: float) -> Cost:
    stage.ask("VACUUM ANALYZE tasks")
    stage.ask("CHECKPOINT")
    pid = stage.processes["api"].pid
    api, database = machine.cpu_seconds(pid), stage.database_cpu()
    driven = driver(url, _CREATE, targets, seconds)
    if driven.errors:
        raise RuntimeError(f"{driven.errors} requests failed")
    each = 1e6 / driven.requests
    api, database = machine.cpu_seconds(pid) - api, stage.database_cpu() - database
    return Cost(api * each, database * each, driven.per_second, driven.p50, driven.p99)


@contextmanager
def _nobody_hinted(url: str) -> Iterator[None]:
    """Take hints away as a worker would, without doing the jobs: that is another's cost."""
    stopped = threading.Event()

    def drain() -> None:
        with Redis.from_url(url) as client:
            while not stopped.wait(0.1):
                client.flushdb()

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _figures(costs: dict[bool, list[Cost]], driver: Driver) -> list[Figure]:
    figures = [Figure(f"{driver.name}, {CONNECTIONS} connections, {ROUNDS} rounds each in turn")]
    for with_job, name in ((False, "without a job"), (True, "with a job")):
        columns = zip(*costs[with_job], strict=True)
        api, database, per_second, p50, p99 = map(statistics.median, columns)
        figures.append(
            Figure(
                f"{name}: {api:.0f} us of CPU in the API, {database:.0f} in PostgreSQL; {per_second:.0f}/s, "
                f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
            )
        )
    for what, of in (("CPU of both", "cpu"), ("CPU of the API", "api"), ("CPU of PostgreSQL", "database")):
        ratio = _ratio(costs, of)
        figures.append(Figure(f"{what}: {ratio:.2f} times (target {TARGET:g})", met=ratio <= TARGET))
    slower = 1 / _ratio(costs, "per_second")
    return [*figures, Figure(f"time at {CONNECTIONS} connections: {slower:.2f} times", met=slower <= TARGET)]


def _ratio(costs: dict[bool, list[Cost]], of: str) -> float:
    pairs = zip(costs[False], costs[True], strict=True)
    ratios: list[float] = [getattr(with_job, of) / getattr(without, of) for without, with_job in pairs]
    return statistics.median(ratios)
