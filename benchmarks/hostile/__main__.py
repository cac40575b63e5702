"""What others notice while one client is hostile.

    python -m benchmarks.hostile
    python -m benchmarks.hostile --only 'body|search' --seconds 15

Starts PostgreSQL, Valkey and `taskflow serve` in one process, all with default settings. One client then
runs the attacks of `attacks`, one after the other. Meanwhile others ask for `/health/live` and for their
own `GET /tasks?limit=10`, ten times a second each, on new connections.

The table has their latency, their answers that were not 200, and the memory of the API: how much it grew
during the attack, and how much of that was kept 30 s later.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import secrets
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import psycopg

from benchmarks import machine
from benchmarks.filling import Plan, fill, look, today
from benchmarks.hostile.attacks import ATTACKS, Attack, Hostile
from benchmarks.hostile.neighbour import Samples, asking
from benchmarks.starting import serving
from taskflow_core.ports.security import TokenClaims
from taskflow_embedded import PostgresServer, throwaway_valkey
from taskflow_security import BcryptPasswords, JwtTokens
from taskflow_sqlalchemy import migrate
from taskflow_system import SystemClock

NEIGHBOURS: Final = 20
"""So many that none of them meets the default limit of 100 requests a minute."""
TASKS: Final = 5_000
LATENCY_TARGET: Final = 400.0
"""Milliseconds, in the worst case."""
GROWTH_TARGET: Final = 100.0
"""MB."""
RELEASE_SECONDS: Final = 30
PASSWORD: Final = "correct horse battery staple"
_LONG: Final = """
UPDATE tasks SET description = (
  SELECT string_agg(chr(1040 + (random() * 60)::int), '')
  FROM generate_series(1, 10000)
  WHERE tasks.id IS NOT NULL
) WHERE user_id = %s
"""


class Memory(NamedTuple):
    """Of the API, in MB."""

    before: float
    peak: float
    after: float


class Row(NamedTuple):
    """How one attack went."""

    name: str
    samples: dict[str, Samples]
    memory: Memory
    statuses: str

    @property
    def met(self) -> bool:
        worst = max(sample.worst for sample in self.samples.values())
        failures = sum(sample.failures.total() for sample in self.samples.values())
        grown = self.memory.peak - self.memory.before
        kept = self.memory.after - self.memory.before
        return worst <= LATENCY_TARGET and not failures and max(grown, kept) <= GROWTH_TARGET


def main() -> int:
    """Return the exit code: 1 where a target is missed."""
    options = _options()
    print(machine.describe(), flush=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taskflow-hostile-")))
        postgres = stack.enter_context(PostgresServer(directory / "postgres"))
        secret = secrets.token_urlsafe(48)
        people = _filled(postgres.url, secret)
        rows = []
        _print_header()
        for name, attack in ATTACKS.items():
            if not re.search(options.only, name):
                continue
            # Each meets a new API and empty limits, so that none inherits what another left behind.
            with throwaway_valkey() as valkey, serving(directory, postgres.url, valkey.url, secret) as api:
                rows.append(asyncio.run(_measured(name, attack, api, people, options.seconds)))
                _print_row(rows[-1])
    return 0 if all(row.met for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile")
    parser.add_argument("--seconds", type=float, default=10, help="of each attack (%(default)s)")
    parser.add_argument("--only", default="", help="attacks whose name this expression finds")
    return parser.parse_args()


class People(NamedTuple):
    """The hostile one and the others, with tokens that hold for the whole run."""

    token: str
    tasks: list[str]
    others: list[str]


def _filled(url: str, secret: str) -> People:
    asyncio.run(migrate(url))
    password_hash = asyncio.run(BcryptPasswords().hash(PASSWORD))
    size = TASKS + NEIGHBOURS * 50
    fill(
        url, Plan(tasks=size, big=TASKS, small=(50, 50), now=today(), password_hash=password_hash, deleted=0)
    )
    filled = look(url, small=NEIGHBOURS)
    assert filled.big is not None
    users = [filled.big, *filled.small]
    opened = {user: uuid4() for user in users}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_LONG, [filled.big])
        connection.cursor().executemany(
            "INSERT INTO sessions (id, user_id, seed, generation, replaced, created_at, last_used_at) "
            "VALUES (%s, %s, %s, 1, '{}', now(), now())",
            [(session, user, secrets.token_bytes(32)) for user, session in opened.items()],
        )
        connection.execute("VACUUM ANALYZE")
    tokens = JwtTokens([secret], issuer="taskflow", audience="taskflow", lifetime=timedelta(hours=12))

    def token(user: UUID) -> str:
        return tokens.issue(TokenClaims(user, opened[user]), SystemClock()()).value

    tasks = [str(id) for id in filled.ids[filled.big]]
    return People(token(filled.big), tasks, [token(user) for user in filled.small])


async def _measured(name: str, attack: Attack, api: tuple[str, int], people: People, seconds: float) -> Row:
    url, pid = api
    hostile = Hostile(url, people.token, people.tasks)
    with asking(url, people.others):
        await asyncio.sleep(2)  # What the API makes at its first requests is not the attack's.
    before = peak = _memory_mb(pid)
    with asking(url, people.others) as samples:
        await asyncio.sleep(0.5)
        attacking = asyncio.ensure_future(attack(hostile))
        until = time.perf_counter() + seconds
        while time.perf_counter() < until and not attacking.done():
            peak = max(peak, _memory_mb(pid))
            await asyncio.sleep(0.05)
        attacking.cancel()
        await asyncio.gather(attacking, return_exceptions=True)
    after, until = peak, time.perf_counter() + RELEASE_SECONDS
    while time.perf_counter() < until and after - before > GROWTH_TARGET / 10:
        after = min(after, _memory_mb(pid))
        await asyncio.sleep(0.5)
    statuses = ", ".join(f"{status} x {count}" for status, count in sorted(hostile.statuses.items()))
    return Row(name, samples, Memory(before, peak, after), statuses)


def _memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)


def _print_header() -> None:
    print(f"\n{'':<44}{'live ms':>14}{'list ms':>14}{'memory MB':>21}")
    print(f"{'attack':<44}{'p99':>7}{'worst':>7}{'p99':>7}{'worst':>7}{'before':>7}{'grown':>7}{'kept':>7}")


def _print_row(row: Row) -> None:
    figures: list[str] = []
    for kind in ("live", "list"):
        figures += [f"{row.samples[kind].p99:7.0f}", f"{row.samples[kind].worst:7.0f}"]
    memory = row.memory
    for value in (memory.before, memory.peak - memory.before, memory.after - memory.before):
        figures.append(f"{value:7.0f}")
    print(f"{row.name:<44}{''.join(figures)}  {'met' if row.met else 'NOT MET'}")
    failures = {kind: dict(sample.failures) for kind, sample in row.samples.items() if sample.failures}
    if failures:
        print(f"    others got {failures}")
    if row.statuses:
        print(f"    it got {row.statuses}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
