"""Workers in processes of their own, to be killed and paused, and the ledger that they work on."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

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

    def wait_for(self, words: str, times: int = 1, timeout: float = 30) -> str:
        """Return the line that has them."""
        end = time.monotonic() + timeout
        while True:
            lines = [line for line in self.said.splitlines() if words in line]
            if len(lines) >= times:
                return lines[times - 1]
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.said}"
            assert time.monotonic() < end, f"not there after {timeout} s:\n{self.said}"
            time.sleep(0.02)

    def stop(self, timeout: float = 20) -> tuple[int, float]:
        """Return the exit code, and the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout), time.monotonic() - began


@contextmanager
def workers(database_url: str, redis_url: str, log: Path, **settings: float) -> Iterator[Workers]:
    with log.open("wb") as output:
        # -P: beside the script stands a module of the name of a package that it imports.
        words = [sys.executable, "-P", str(SCRIPT), database_url, redis_url, json.dumps(settings)]
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
    started = Workers(process, log)
    try:
        started.wait_for("all ready")
        yield started
    finally:
        process.kill()
        process.wait()


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
