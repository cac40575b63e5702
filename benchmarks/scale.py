"""What each question costs as an installation grows: the same, where it concerns one owner or one index.

python -m benchmarks.scale
python -m benchmarks.scale --tasks 20000,20000000 --run-length 1 --data /var/tmp/scale
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from benchmarks import machine, questions
from benchmarks.filling import Filled, Plan, fill, look, today
from benchmarks.questions import Installation, Question
from benchmarks.statements_run import (
    Buffers,
    Run,
    counted,
    explain,
    forget_counts,
    only_connection,
    outline,
    recording,
)
from taskflow_core import DeadlineExceeded
from taskflow_embedded import PostgresServer, throwaway_postgres
from taskflow_sqlalchemy import migrate, open_engine

LIMIT = 1.5
"""How much more the larger installation may cost."""
WARM = 12
"""Askings before any is timed, so that the driver has prepared its statements and the server chosen plans."""
DEADLINE = 5.0
"""Seconds; the statement_timeout that TaskFlow comes with."""


@dataclass
class Measured:
    """A question asked of one installation."""

    seconds: list[float] = field(default_factory=list)
    buffers: list[Buffers] = field(default_factory=list)
    counted: float = 0
    statements: float = 0

    @property
    def p50(self) -> float:
        return statistics.median(self.seconds) * 1000

    def pages(self, name: str) -> float:
        pages: list[int] = [getattr(each, name) for each in self.buffers]
        return statistics.fmean(pages)


def main() -> None:
    options = _options()
    print(f"{machine.describe()}\n")
    with _server(options) as server:
        urls = {tasks: _database(server.url, tasks, options) for tasks in options.tasks}
        filled = {tasks: look(url) for tasks, url in urls.items()}
        print(_told(server.url, options), end="\n\n")
        asyncio.run(_measure(urls, filled, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--tasks", default="20000,2000000", help="sizes, smallest first (%(default)s)")
    parser.add_argument(
        "--run-length", type=int, default=50, help="rows of one owner beside each other (%(default)s)"
    )
    parser.add_argument("--runs", type=int, default=60, help="how often each question is asked (%(default)s)")
    parser.add_argument("--only", default="", help="questions whose name this expression finds")
    parser.add_argument("--plans", action="store_true", help="show the plans of each question")
    parser.add_argument("--data", type=Path, help="keep the data here, and use what is there already")
    options = parser.parse_args()
    options.tasks = sorted(int(tasks) for tasks in options.tasks.split(","))
    return options


def _server(options: argparse.Namespace) -> AbstractContextManager[PostgresServer]:
    megabytes = min(sum(options.tasks) // 700 + 256, machine.memory_bytes() // 2**20 * 6 // 10)
    settings = {
        # All of the data stays in memory, so that pages are compared and not disks.
        "shared_buffers": f"{megabytes}MB",
        "max_wal_size": "32GB",
        "checkpoint_timeout": "1h",
        # Nothing else is to touch pages while they are counted; what is filled is vacuumed once.
        "autovacuum": "off",
        "shared_preload_libraries": "pg_stat_statements",
    }
    if options.data:
        return PostgresServer(options.data, settings=settings, durable=False)
    return throwaway_postgres(settings=settings)


def _told(url: str, options: argparse.Namespace) -> str:
    names = ("shared_buffers", "work_mem", "random_page_cost", "effective_cache_size", "fsync", "autovacuum")
    with psycopg.connect(url) as connection:
        ask = "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name"
        settings = ", ".join(f"{name} {value}" for name, value in connection.execute(ask, [list(names)]))
        version = connection.info.server_version // 10_000
        return (
            f"PostgreSQL {version}: {settings}. An owner's tasks lie in runs "
            f"of {options.run_length} on average. Each question is asked {options.runs} times."
        )


def _database(url: str, tasks: int, options: argparse.Namespace) -> str:
    """Return the URL of a database with this many tasks: a copy, since what is asked also writes."""
    name = f"tasks_{tasks}_{options.run_length}"
    with psycopg.connect(url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            _fill(_named(url, name), tasks, options)
        connection.execute(f'DROP DATABASE IF EXISTS "{name}_used"')
        connection.execute(f'CREATE DATABASE "{name}_used" TEMPLATE "{name}" STRATEGY file_copy')
    return _named(url, f"{name}_used")


def _named(url: str, database: str) -> str:
    return url.replace("/postgres?", f"/{database}?")


def _fill(url: str, tasks: int, options: argparse.Namespace) -> None:
    asyncio.run(migrate(url))
    watch = machine.Stopwatch()
    fill(url, Plan(tasks=tasks, run_length=options.run_length, now=today()), _progress(tasks, watch))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE EXTENSION pg_prewarm")
        connection.execute("VACUUM ANALYZE")
    print(f"\r{tasks:,} tasks and their history filled in {watch():.0f} s", file=sys.stderr)


def _progress(tasks: int, watch: machine.Stopwatch) -> Callable[[int], None]:
    def tell(done: int) -> None:
        if done % 100_000 == 0 and sys.stderr.isatty():
            print(f"\r{done:,} of {tasks:,} in {watch():.0f} s", end="", file=sys.stderr)

    return tell


async def _measure(
    urls: Mapping[int, str], filled: Mapping[int, Filled], options: argparse.Namespace
) -> None:
    found = re.compile(options.only).search
    async with AsyncExitStack() as stack:
        places = [await stack.enter_async_context(_open(urls[size], filled[size])) for size in urls]
        table = Table([f"{size:,}" for size in urls])
        table.head()
        for same in zip(*(questions.flat(place) for place in places), strict=True):
            if found(same[0].name):
                table.row(same[0].name, await _asked(places, same, options))
        table.foot()
        print("\nNo index answers these: they grow with everyone's tasks, and a statement ends after 5 s:\n")
        for same in zip(*(questions.not_flat(place) for place in places), strict=True):
            if found(same[0].name):
                print(f"{same[0].name:<60}", *[await _once(question) for question in same], sep="  ")


@asynccontextmanager
async def _open(url: str, filled: Filled) -> AsyncIterator[Installation]:
    # One connection, so that the statements explained are those that were prepared by asking.
    engine = open_engine(url, pool_size=1, statement_timeout=DEADLINE)
    async with only_connection(engine) as driver:
        await driver.execute(
            "SELECT sum(pg_prewarm(oid)) FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')"
        )
    try:
        yield Installation(engine, filled, filled.now)
    finally:
        await engine.dispose()


async def _asked(
    places: Sequence[Installation], same: Sequence[Question], options: argparse.Namespace
) -> list[Measured]:
    """Ask all installations in turn, so that whatever else the machine does meets each of them alike."""
    results = [Measured() for _ in same]
    samples: list[list[list[Run]]] = [[] for _ in same]
    for place, question, sample in zip(places, same, samples, strict=True):
        for _ in range(WARM):
            await question.ask()
        for _ in range(question.variants):
            with recording() as runs:
                await question.ask()
            sample.append(list(runs))
        async with only_connection(place.engine) as driver:
            await forget_counts(driver)
    for _ in range(options.runs):
        for question, result in zip(same, results, strict=True):
            begin = time.perf_counter()
            await question.ask()
            result.seconds.append(time.perf_counter() - begin)
    for place, result, sample in zip(places, results, samples, strict=True):
        async with only_connection(place.engine) as driver:
            statements, pages = await counted(driver)
            result.statements, result.counted = statements / options.runs, pages / options.runs
            result.buffers = [await explain(driver, runs) for runs in sample]
    if options.plans:
        for result in results:
            for plan in result.buffers[0].plans:
                print(plan["Mode"], *outline(plan["Plan"]), sep="\n    ")
    return results


async def _once(question: Question) -> str:
    """Return how long it takes, best of three."""
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        try:
            await question.ask()
        except DeadlineExceeded:
            return f"given up after {time.perf_counter() - begin:.1f} s"
        seconds.append(time.perf_counter() - begin)
    return f"{min(seconds) * 1000:9.1f} ms"


class Table:
    """Prints a line a question."""

    def __init__(self, sizes: Sequence[str]) -> None:
        self._sizes = sizes
        self._worst = {"p50": 0.0, "pages": 0.0}
        self._failed: list[str] = []

    def head(self) -> None:
        print(
            "p50: milliseconds in process, by use case and driver.\n"
            "pages: touched by all statements of the request by EXPLAIN (ANALYZE, BUFFERS), by plans that\n"
            "TaskFlow's connections run; a mean over owners, tasks or pages where there are several.\n"
            "counted: likewise by pg_stat_statements over all askings; what triggers touch is in it.\n"
            "sql: statements a request, BEGIN and COMMIT aside.\n"
        )
        kinds = [f"{kind} {size}" for kind in ("p50", "pages", "counted") for size in self._sizes]
        print(
            f"{'question':<44}",
            *(f"{column:>17}" for column in kinds),
            f"{'sql':>4}{'p50 x':>7}{'pages x':>9}",
        )

    def row(self, name: str, results: Sequence[Measured]) -> None:
        p50 = [result.p50 for result in results]
        pages = [result.pages("run") for result in results]
        counted = [result.counted for result in results]
        ratios = {"p50": p50[-1] / p50[0], "pages": pages[-1] / pages[0]}
        failed = [kind for kind, ratio in ratios.items() if ratio > LIMIT]
        self._worst = {kind: max(self._worst[kind], ratio) for kind, ratio in ratios.items()}
        self._failed += [name] if failed else []
        figures = [*(f"{value:17.2f}" for value in p50), *(f"{value:17.1f}" for value in [*pages, *counted])]
        verdict = f"over {LIMIT}: {', '.join(failed)}" if failed else "flat"
        told = f"{results[-1].statements:4.0f}{ratios['p50']:7.2f}{ratios['pages']:9.2f}  {verdict}"
        print(f"{name:<44}", *figures, told, flush=True)
        for size, result in zip(self._sizes, results, strict=True):
            run, custom = result.pages("run"), result.pages("custom")
            if run > custom * LIMIT:
                print(f"    (at {size} a plan made for the very values would touch {custom:.1f} pages)")

    def foot(self) -> None:
        print("\nworst:", ", ".join(f"{kind} x {ratio:.2f}" for kind, ratio in self._worst.items()))
        print("not flat:", "; ".join(self._failed) or "none")


if __name__ == "__main__":
    main()
