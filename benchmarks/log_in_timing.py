"""Whether the time of a log-in that fails tells whether the account exists.

    python -m benchmarks.log_in_timing
    python -m benchmarks.log_in_timing --tries 1000 --cost 10

At a low cost of bcrypt, so that what else differs is not lost beside it: each known account and each unknown
email is tried once, in turn, through the whole API in one process, over PostgreSQL and Valkey from wheels.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from typing import Final, cast

import httpx
import psycopg
from starlette.applications import Starlette

from benchmarks import machine
from taskflow_bootstrap.application import create_application
from taskflow_bootstrap.container import Container, close
from taskflow_bootstrap.settings import Settings
from taskflow_embedded import throwaway
from taskflow_security import BcryptPasswords
from taskflow_sqlalchemy import migrate

TARGET: Final = 0.05
"""How far apart the means may be."""
WARM: Final = 50
_ACCOUNTS: Final = """
INSERT INTO users
  (id, email, name, password_hash, role, active, created_at, updated_at, version, password_version)
SELECT gen_random_uuid(), 'known' || n || '@example.com', 'Known', %s, 'user', true, now(), now(), 1, 1
FROM generate_series(1, %s) AS n
"""


def main() -> None:
    options = _options()
    print(machine.describe())
    with throwaway() as servers:
        times = asyncio.run(_measure(servers.postgres.url, servers.valkey.url, options))
    means = {kind: statistics.fmean(taken) for kind, taken in times.items()}
    for kind, taken in times.items():
        spread = statistics.stdev(taken) / len(taken) ** 0.5
        print(
            f"{kind:<8} {len(taken)} tries: mean {means[kind] * 1000:.3f} ms (standard error "
            f"{spread * 1000:.3f}), median {statistics.median(taken) * 1000:.3f} ms"
        )
    apart = abs(means["known"] - means["unknown"]) / means["unknown"]
    print(f"means {apart:.1%} apart ({'met' if apart <= TARGET else 'NOT MET'}, target {TARGET:.0%})")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.log_in_timing")
    parser.add_argument("--tries", type=int, default=200, help="of each kind (%(default)s)")
    parser.add_argument("--cost", type=int, default=4, help="of bcrypt (%(default)s)")
    return parser.parse_args()


async def _measure(database: str, redis: str, options: argparse.Namespace) -> dict[str, list[float]]:
    await migrate(database)
    hashed = await BcryptPasswords(cost=options.cost).hash("the right password")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_ACCOUNTS, [hashed, options.tries + WARM])
        connection.execute("VACUUM ANALYZE")
    settings = Settings(
        database_url=database, redis_url=redis, jwt_secret=("a secret of this benchmark alone, long enough",),
        password_cost=options.cost, password_threads=1, log_level="error", rate_limit_login=None,
    )  # fmt: skip
    container = Container(settings=settings)
    application = cast("Starlette", create_application(container))
    emails = [("known", f"known{n}@example.com") for n in range(1, options.tries + WARM + 1)]
    emails += [("unknown", f"other{n}@example.com") for n in range(1, options.tries + WARM + 1)]
    # In an order that neither kind gains by.
    random.Random(1).shuffle(emails)
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    transport = httpx.ASGITransport(application)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://taskflow") as client,
    ):
        for kind, email in emails:
            begin = time.perf_counter()
            answer = await client.post("/auth/login", json={"email": email, "password": "a wrong password"})
            times[kind].append(time.perf_counter() - begin)
            assert answer.status_code == 401, answer.text
    await close(container)
    return {kind: taken[WARM:] for kind, taken in times.items()}


if __name__ == "__main__":
    main()
