"""What a request costs and how many a second there are, beside a reference and the peers.

    python -m benchmarks.load
    python -m benchmarks.load --only 'read one|list' --seconds 10 --rounds 3

Everything is started here and gone in the end: PostgreSQL and Valkey from wheels with the settings that
TaskFlow comes with (durable: fsync and synchronous_commit on), the API by `taskflow serve` in one process,
and the reference (`benchmarks.reference`), which does the least, under the same server. All run on this
machine beside the load generator, in turn, so that they share its cores alike.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import psycopg

from benchmarks import machine
from benchmarks.driving import Driven, Driver
from benchmarks.filling import Plan, fill, look, today
from benchmarks.peers import PEERS
from benchmarks.starting import serving, started
from benchmarks.workload import ENDPOINTS, PASSWORD, Endpoint, Target
from taskflow_core.ports.security import TokenClaims
from taskflow_embedded import PostgresServer, throwaway_valkey
from taskflow_security import BcryptPasswords, JwtTokens
from taskflow_sqlalchemy import migrate
from taskflow_system import SystemClock

USERS: Final = 10_000
TASKS_EACH: Final = 20
CPU_TARGET: Final = 3.0
"""How many times the CPU of the reference a request may take."""
MEMORY_TARGET: Final = 150
"""Megabytes."""
WARM_SECONDS: Final = 2


class Served(NamedTuple):
    """Something that answers."""

    name: str
    url: str
    pid: int


class Result(NamedTuple):
    """How something bore an endpoint's requests. CPU in microseconds a request."""

    driven: Driven
    cpu: float
    database_cpu: float
    changes: float | None


@dataclass
class Bench:
    """What is measured, with what."""

    options: argparse.Namespace
    postgres: PostgresServer
    served: Sequence[Served]
    targets: Mapping[str, list[Target]]
    driver: Driver

    def results(self, endpoint: Endpoint) -> dict[str, Result]:
        """Return the best round of each, measured in turn."""
        best: dict[str, Result] = {}
        for _ in range(self.options.rounds):
            for served in self.served:
                if endpoint.name == "log in" and served.name != "api":
                    continue
                result = self._round(served, endpoint)
                before = best.get(served.name)
                if before is None or result.driven.per_second > before.driven.per_second:
                    best[served.name] = result
        return best

    def _round(self, served: Served, endpoint: Endpoint) -> Result:
        targets = self.targets["api" if served.name == "api" else "reference"]
        writes = endpoint.writes and served.name != "bare"
        self._prepare(writes)
        self.driver(served.url, endpoint, targets, WARM_SECONDS)
        self._prepare(writes)
        versions = self._versions() if writes else 0
        cpu, database = machine.cpu_seconds(served.pid), self._database_cpu()
        driven = self.driver(served.url, endpoint, targets, self.options.seconds)
        cpu, database = machine.cpu_seconds(served.pid) - cpu, self._database_cpu() - database
        requests = max(1, driven.requests)
        changes = (self._versions() - versions) / requests if writes else None
        each = 1e6 / requests
        return Result(driven, cpu * each, database * each, changes)

    def _prepare(self, writes: bool) -> None:
        """Put every task into the state from which the requests of a writing endpoint change it."""
        if not writes:
            return
        # Requests that nobody waits for any more end first.
        time.sleep(1)
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(
                "UPDATE tasks SET status = 'PENDING', completed_at = NULL WHERE status <> 'PENDING'"
            )
            connection.execute("VACUUM ANALYZE tasks")

    def _versions(self) -> int:
        with psycopg.connect(self.postgres.url) as connection:
            row = connection.execute("SELECT sum(version)::int8 FROM tasks").fetchone()
        assert row is not None
        return int(row[0])

    def _database_cpu(self) -> float:
        """Of the server and all that it started; those that ended meanwhile are in its own."""
        return sum(machine.cpu_seconds(pid) for pid in machine.family(self.postgres.pid))


def main() -> None:
    options = _options()
    print(f"{machine.describe()}\n")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taskflow-load-")))
        postgres = stack.enter_context(PostgresServer(directory / "postgres"))
        valkey = stack.enter_context(throwaway_valkey())
        secret = secrets.token_urlsafe(48)
        targets = _filled(postgres.url, secret, options)
        served = [
            stack.enter_context(_api(directory, postgres.url, valkey.url, secret)),
            stack.enter_context(_reference("reference", postgres.url)),
            stack.enter_context(_reference("bare")),
        ]
        driver = Driver(options.connections, directory)
        _tell(postgres.url, driver, options)
        bench = Bench(options, postgres, served, targets, driver)
        for endpoint in ENDPOINTS:
            if re.search(options.only, endpoint.name):
                _report(endpoint, bench.results(endpoint))
        peak = machine.peak_memory_mb(served[0].pid)
        verdict = f"{_verdict(peak < MEMORY_TARGET)}, target under {MEMORY_TARGET}"
        print(f"\npeak memory of the API: {peak:.0f} MB ({verdict})")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--seconds", type=float, default=5, help="of each round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (%(default)s)")
    parser.add_argument("--connections", type=int, default=32, help="at a time (%(default)s)")
    parser.add_argument("--users", type=int, default=1_000, help=f"of {USERS:,} who ask (%(default)s)")
    parser.add_argument("--only", default="", help="endpoints whose name this expression finds")
    return parser.parse_args()


def _filled(url: str, secret: str, options: argparse.Namespace) -> dict[str, list[Target]]:
    """Return some users: with tokens as the API signs them, and as the reference takes them."""
    asyncio.run(migrate(url))
    watch = machine.Stopwatch()
    password_hash = asyncio.run(BcryptPasswords().hash(PASSWORD))
    size = USERS * TASKS_EACH
    plan = Plan(
        tasks=size, big=0, small=(TASKS_EACH, TASKS_EACH), now=today(), password_hash=password_hash, deleted=0
    )
    fill(url, plan)
    filled = look(url, small=options.users, big=False)
    print(f"{size:,} tasks of {filled.users:,} users filled in {watch():.0f} s", file=sys.stderr)
    # For as long as the whole run takes; what they hold and how they are checked is the same.
    tokens = JwtTokens([secret], issuer="taskflow", audience="taskflow", lifetime=timedelta(hours=12))
    now = SystemClock()()
    targets: dict[str, list[Target]] = {"api": [], "reference": []}
    emails, sessions = _emails(url), _sessions(url, filled.small)
    for user in filled.small:
        ids = [str(id) for id in filled.ids[user]]
        token = tokens.issue(TokenClaims(user, sessions[user]), now).value
        targets["api"].append(Target(token, emails[str(user)], ids))
        targets["reference"].append(Target(str(user), emails[str(user)], ids))
    return targets


def _sessions(url: str, users: Sequence[UUID]) -> dict[UUID, UUID]:
    """Open a session for each."""
    opened = {user: uuid4() for user in users}
    with psycopg.connect(url) as connection:
        statement = (
            "INSERT INTO sessions (id, user_id, seed, generation, replaced, created_at, last_used_at) "
            "VALUES (%s, %s, %s, 1, '{}', now(), now())"
        )
        rows = [(session, user, secrets.token_bytes(32)) for user, session in opened.items()]
        connection.cursor().executemany(statement, rows)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE sessions")
    return opened


def _emails(url: str) -> dict[str, str]:
    with psycopg.connect(url) as connection:
        return {str(id): email for id, email in connection.execute("SELECT id, email FROM users")}


@contextmanager
def _api(directory: Path, database: str, redis: str, secret: str) -> Iterator[Served]:
    # Limits are asked in every request, as they come, and never reached.
    with serving(
        directory, database, redis, secret, rate_limit_api="1000000/second", rate_limit_login="off"
    ) as told:
        yield Served("api", *told)


@contextmanager
def _reference(name: str, *arguments: str) -> Iterator[Served]:
    command = [sys.executable, "-m", "benchmarks.reference", *arguments]
    with started(command, dict(os.environ), None, Path.cwd()) as told:
        yield Served(name, *told)


def _tell(url: str, driver: Driver, options: argparse.Namespace) -> None:
    names = ["fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_connections"]
    with psycopg.connect(url) as connection:
        ask = "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name"
        settings = ", ".join(f"{name} {value}" for name, value in connection.execute(ask, [names]))
        version = connection.info.server_version // 10_000
    print(f"PostgreSQL {version}: {settings}")
    print(
        f"{driver.name}: {options.connections} connections, {options.seconds:g} s a round, best of "
        f"{options.rounds}; {USERS:,} users with {TASKS_EACH} tasks each, requests of {options.users:,}\n"
    )
    columns = [
        f"{name:>10}" for name in ("req/s", "p50 ms", "p99 ms", "errors", "CPU us", "PG us", "changes")
    ]
    print(f"{'':<14}{'':<11}", *columns)


def _report(endpoint: Endpoint, results: Mapping[str, Result]) -> None:
    for name, (driven, cpu, database, changes) in results.items():
        figures = [
            f"{driven.per_second:10.0f}", f"{driven.p50:10.1f}", f"{driven.p99:10.1f}", f"{driven.errors:10}",
            f"{cpu:10.0f}", f"{database:10.0f}", f"{'':10}" if changes is None else f"{changes:10.2f}",
        ]  # fmt: skip
        print(f"{endpoint.name if name == 'api' else '':<14}{name:<11}", *figures)
    api = results["api"]
    if "reference" in results:
        ratio = api.cpu / results["reference"].cpu
        told = f"target {CPU_TARGET:g}" if endpoint.name != "stats" else "no target"
        print(f"{'':<14}CPU API / reference {ratio:.2f} ({_verdict(ratio <= CPU_TARGET)}, {told})")
    peer = PEERS[endpoint.name]
    times = api.driven.per_second / peer.better
    told = (
        "for information"
        if peer.target is None
        else f"{_verdict(times >= peer.target)}, target {peer.target:g}"
    )
    print(f"{'':<14}req/s API / better peer ({peer.better}/s) {times:.2f} ({told})", flush=True)


def _verdict(met: bool) -> str:
    return "met" if met else "NOT MET"


if __name__ == "__main__":
    main()
