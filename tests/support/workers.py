"""Workers in processes of their own, to be killed and paused, and the ledger that they work on."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from redis import Redis

from support.pauses import lives
from taskflow_core import JobState, LedgerEntry
from taskflow_sqlalchemy import SqlAlchemyTransactions
from taskflow_system import SystemClock, Uuid7

SCRIPT = Path(__file__).with_name("worker_script.py")


@dataclass
class Workers:
    """A watcher and its workers, with all that they say."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def pids(self) -> list[int]:
        """Of all that were ready at some time, in that order."""
        return [int(pid) for pid in re.findall(r"^ready (\d+)$", self.said, re.MULTILINE)]

    def wait_for(self, words: str, times: int = 1, timeout: float = 60) -> str:
        """Return the line that has them, once it is whole."""
        end = time.monotonic() + timeout
        while True:
            # Looked at before what it said: what it said last counts too.
            ended = self.process.poll()
            whole = self.said.rpartition("\n")[0]
            lines = [line for line in whole.splitlines() if words in line]
            if len(lines) >= times:
                return lines[times - 1]
            assert ended is None, f"ended with {ended}:\n{self.said}"
            assert time.monotonic() < end, f"not there after {timeout} s:\n{self.said}"
            time.sleep(0.02)

    def wait_until_killed(self, pid: int) -> None:
        """Return once one that was sent SIGKILL has ended, and the watcher has noticed."""
        self.wait_for(f"Process {pid} ended (killed by SIGKILL) and is started again.")

    def stop(self, timeout: float = 90) -> tuple[int, float]:
        """Return the exit code, and the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout), time.monotonic() - began


@contextmanager
def workers(database_url: str, redis_url: str, log: Path, **settings: float) -> Iterator[Workers]:
    with log.open("wb") as output:
        # -P: beside the script stands a module of the name of a package that it imports.
        words = [sys.executable, "-P", str(SCRIPT), database_url, redis_url, json.dumps(settings)]
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    started = Workers(process, log)
    try:
        started.wait_for("all ready")
        yield started
    finally:
        _end_all(process)
        _wait_until_gone(redis_url)


def _end_all(watcher: subprocess.Popen[bytes]) -> None:
    """Kill a watcher with its workers: any that lived on would do the jobs of the next test."""
    watcher.kill()
    watcher.wait()
    # Nobody starts others now.
    for pid in _session_of(watcher.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _until(lambda: not _session_of(watcher.pid))


def _session_of(leader: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = (process / "stat").read_text(encoding="utf-8", errors="replace")
            if int(stat.rpartition(")")[2].split()[3]) == leader and lives(int(process.name)):
                found.append(int(process.name))
    return found


def _wait_until_gone(redis_url: str) -> None:
    """Return once Redis knows, too, that none of them waits for hints any more."""
    with Redis.from_url(redis_url) as redis:
        own = str(redis.client_info()["db"])
        _until(lambda: not any(each["cmd"] == "blpop" and each["db"] == own for each in redis.client_list()))


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.01)


async def all_heard() -> None:
    """Return once no thread of this process listens for hints: it would take those of the next test."""
    for thread in threading.enumerate():
        if thread.name == "taskflow-hints":
            await asyncio.to_thread(thread.join, 60)
            assert not thread.is_alive()


async def add_job(
    transactions: SqlAlchemyTransactions,
    kind: str,
    *,
    max_tries: int = 16,
    payload: Mapping[str, str] | None = None,
) -> UUID:
    now = SystemClock()()
    job = LedgerEntry.create(
        id=Uuid7()(now), kind=kind, now=now, max_tries=max_tries, payload=payload, request_id="request-1"
    )
    async with transactions() as transaction:
        transaction.ledger.add(job)
        await transaction.commit()
    return job.id


def end_leases(database: psycopg.Connection[Any], job_id: UUID | None = None) -> None:
    """Have the lease of a job be out by now, or that of each that runs, as if it had been that long."""
    database.execute(
        "UPDATE ledger SET lease_until = clock_timestamp() "
        "WHERE state = 'running' AND id = coalesce(%s::uuid, id)",
        [job_id],
    )


async def expire_leases(transactions: SqlAlchemyTransactions) -> int:
    """What the scheduler's reconcile does about workers that died, without waiting for its turn."""
    async with transactions() as transaction:
        entries, now = await transaction.ledger.load_expired(limit=100)
        for entry in entries:
            entry.expire(now, 0.0)
            transaction.ledger.save(entry)
        await transaction.commit()
    return len(entries)


@dataclass(frozen=True)
class Row:
    state: JobState
    tries: int
    fence: int
    error: str | None
    refunds: int


def row(database: psycopg.Connection[Any], job_id: UUID) -> Row:
    found = database.execute(
        """SELECT state, tries, fence, error, (SELECT count(*) FROM sample_refunds WHERE job_id = id)
           FROM ledger WHERE id = %s""",
        [job_id],
    ).fetchone()
    assert found is not None
    return Row(JobState(found[0]), *found[1:])
