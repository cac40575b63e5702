"""Whether a storm of log-ins leaves other requests alone.

    python -m benchmarks.log_in_storm

`taskflow serve` in one process, with bcrypt at cost 10 in one thread and no rate limits, over PostgreSQL and
Valkey from wheels. First reads alone, then log-ins alone, as many as that thread can do; then both at once,
log-ins offered at three times that. Reads come at a steady rate, so that their number is the same each time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg

from benchmarks import machine
from benchmarks.starting import serving
from taskflow_embedded import PostgresServer, throwaway_valkey
from taskflow_security import BcryptPasswords
from taskflow_sqlalchemy import migrate

COST: Final = 10
ACCOUNTS: Final = 20_000
"""So many that none is tried often enough to be delayed."""
OFFERED: Final = 3
P99_TARGET: Final = 2.0
SERVED_TARGET: Final = 0.9
REFUSED_TARGET: Final = 0.1
"""Seconds."""
PASSWORD: Final = "a password of this benchmark"
_ACCOUNTS: Final = """
INSERT INTO users
  (id, email, name, password_hash, role, active, created_at, updated_at, version, password_version)
SELECT gen_random_uuid(), 'person' || n || '@example.com', 'Person', %s, 'user', true, now(), now(), 1, 1
FROM generate_series(1, %s) AS n
"""


class Answer(NamedTuple):
    """Status, and seconds from when it was due to be sent."""

    status: int
    seconds: float


class Client:
    """Sends requests over connections that it keeps, as many as it needs."""

    def __init__(self, url: str) -> None:
        self._host, _, port = url.removeprefix("http://").partition(":")
        self._port = int(port)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __call__(
        self, method: str, path: str, token: str = "", body: object = None
    ) -> tuple[int, bytes]:
        content = b"" if body is None else json.dumps(body).encode()
        fields = [f"{method} {path} HTTP/1.1", "Host: taskflow", f"Content-Length: {len(content)}"]
        fields += ["Content-Type: application/json"] * bool(content)
        fields += [f"Authorization: Bearer {token}"] * bool(token)
        request = "\r\n".join(fields).encode() + b"\r\n\r\n" + content
        while True:
            reader, writer = await self._connection()
            writer.write(request)
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                # The server had closed it for being idle.
                writer.close()
                continue
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r", 1)[0])
            answer = await reader.readexactly(length)
            self._idle.append((reader, writer))
            return int(head[9:12]), answer

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)


Send = Callable[[], Coroutine[Any, Any, tuple[int, bytes]]]


async def at_rate(send: Send, per_second: float, seconds: float) -> list[Answer]:
    """Send at a steady rate, whether or not the answers keep up; late sending counts as waiting."""
    begin, tasks = time.perf_counter(), list[asyncio.Task[Answer]]()

    async def one(due: float) -> Answer:
        status, _ = await send()
        return Answer(status, time.perf_counter() - due)

    for number in range(int(per_second * seconds)):
        due = begin + number / per_second
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(due)))
    return await asyncio.gather(*tasks)


async def measure(url: str, options: argparse.Namespace) -> None:
    client = Client(url)
    status, content = await client("POST", "/auth/login", body=_log_in(ACCOUNTS))
    assert status == 200, content
    token = json.loads(content)["access_token"]
    status, content = await client("POST", "/tasks", token, {"title": "A task"})
    path = f"/tasks/{json.loads(content)['id']}"
    numbers: Iterator[int] = iter(range(1, ACCOUNTS))

    def read() -> Coroutine[Any, Any, tuple[int, bytes]]:
        return client("GET", path, token)

    def log_in() -> Coroutine[Any, Any, tuple[int, bytes]]:
        return client("POST", "/auth/login", body=_log_in(next(numbers)))

    await at_rate(read, options.reads, 3)
    rounds = []
    for _ in range(options.rounds):
        quiet = await at_rate(read, options.reads, options.seconds)
        capacity = await _capacity(log_in, options.seconds)
        reads, log_ins = await asyncio.gather(
            at_rate(read, options.reads, options.seconds),
            at_rate(log_in, OFFERED * capacity, options.seconds),
        )
        rounds.append(Round.of(quiet, reads, log_ins, capacity, options.seconds))
        print(rounds[-1].told(), flush=True)
    _report(rounds)


async def _capacity(log_in: Send, seconds: float) -> float:
    """Return how many log-ins a second that one thread serves when it has always one to do."""
    until, done = time.perf_counter() + seconds, 0

    async def one_after_the_other() -> None:
        nonlocal done
        while time.perf_counter() < until:
            status, _ = await log_in()
            assert status == 200
            done += 1

    begin = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(4)))
    return done / (time.perf_counter() - begin)


def _log_in(number: int) -> dict[str, str]:
    return {"email": f"person{number}@example.com", "password": PASSWORD}


class Round(NamedTuple):
    """How one round went; seconds, and log-ins a second."""

    quiet: float
    during: float
    capacity: float
    served: float
    refused: list[float]
    others: int

    @classmethod
    def of(
        cls, quiet: list[Answer], reads: list[Answer], log_ins: list[Answer], capacity: float, seconds: float
    ) -> Round:
        assert {answer.status for answer in [*quiet, *reads]} == {200}
        served = sum(answer.status == 200 for answer in log_ins)
        refused = [answer.seconds for answer in log_ins if answer.status == 503]
        others = len(log_ins) - served - len(refused)
        return cls(_p99(quiet), _p99(reads), capacity, served / seconds, refused, others)

    def told(self) -> str:
        return (
            f"p99 of reads {self.quiet * 1000:.1f} ms alone, {self.during * 1000:.1f} in the storm; log-ins "
            f"{self.capacity:.1f}/s alone, {self.served:.1f}/s in the storm, {len(self.refused)} refused, "
            f"{self.others} ended otherwise"
        )


def _report(rounds: list[Round]) -> None:
    times = statistics.median(each.during / each.quiet for each in rounds)
    share = statistics.median(each.served / each.capacity for each in rounds)
    refused = [seconds for each in rounds for seconds in each.refused]
    late = _p99(Answer(503, seconds) for seconds in refused)
    print(
        f"medians: p99 {times:.2f} times that alone ({_verdict(times <= P99_TARGET)}, target {P99_TARGET:g})"
    )
    print(f"  served {share:.0%} of alone ({_verdict(share >= SERVED_TARGET)}, target {SERVED_TARGET:.0%})")
    print(
        f"  refused in {late * 1000:.0f} ms at p99, {max(refused) * 1000:.0f} at most "
        f"({_verdict(late < REFUSED_TARGET)}, target {REFUSED_TARGET * 1000:.0f})"
    )


def _p99(answers: Iterable[Answer]) -> float:
    return statistics.quantiles([answer.seconds for answer in answers], n=100)[98]


def _verdict(met: bool) -> str:
    return "met" if met else "NOT MET"


def main() -> None:
    options = _options()
    print(machine.describe())
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taskflow-storm-")))
        postgres = stack.enter_context(PostgresServer(directory / "postgres"))
        valkey = stack.enter_context(throwaway_valkey())
        asyncio.run(_fill(postgres.url))
        secret = secrets.token_urlsafe(48)
        off = {"rate_limit_login": "off", "rate_limit_api": "off"}
        passwords = {"password_cost": str(COST), "password_threads": "1"}
        serve = serving(directory, postgres.url, valkey.url, secret, **off, **passwords)
        url, _ = stack.enter_context(serve)
        asyncio.run(measure(url, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.log_in_storm")
    parser.add_argument("--seconds", type=float, default=10, help="of each part (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (%(default)s)")
    parser.add_argument("--reads", type=int, default=200, help="a second (%(default)s)")
    return parser.parse_args()


async def _fill(url: str) -> None:
    await migrate(url)
    hashed = await BcryptPasswords(cost=COST).hash(PASSWORD)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_ACCOUNTS, [hashed, ACCOUNTS])
        connection.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    main()
