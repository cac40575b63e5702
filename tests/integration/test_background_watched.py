"""`taskflow worker` and `taskflow scheduler` as processes: what dies is started again, read or unread."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from support.pipes import fill
from support.processes import TASKFLOW, Background, environment, free_port, run
from support.work import until
from support.workers import add_job, row
from taskflow_core import JobState
from taskflow_sqlalchemy import SqlAlchemyTransactions

LOST = """UPDATE ledger SET state = 'running', tries = 1, fence = 1, lease_until = now() - interval '1 s'
WHERE id = %s"""


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return {"TASKFLOW_DATABASE_URL": database_url, "TASKFLOW_REDIS_URL": redis_url}


@pytest.fixture
def transactions(engine: AsyncEngine) -> SqlAlchemyTransactions:
    return SqlAlchemyTransactions(engine)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def is_reconciled(transactions: SqlAlchemyTransactions, database: psycopg.Connection[Any]) -> None:
    """Wait until a scheduler has ended the try of a worker that died."""
    job = await add_job(transactions, "of.nobody")
    database.execute(LOST, [job])
    await until(lambda: row(database, job).state is JobState.PENDING, 60)


async def test_a_scheduler_that_dies_is_started_again(
    tmp_path: Path,
    env: dict[str, str],
    transactions: SqlAlchemyTransactions,
    database: psycopg.Connection[Any],
) -> None:
    scheduler = Background.start("scheduler", cwd=tmp_path, env=env)
    try:
        scheduler.wait_for("TaskFlow looks after its jobs")
        (child,) = children(scheduler.process.pid)
        # It tells its watcher, and logs that it started: one after the other.
        scheduler.wait_for(f'"pid":{child}')
        os.kill(child, signal.SIGKILL)
        scheduler.wait_for(f"Process {child} ended (killed by SIGKILL) and is started again.")
        await is_reconciled(transactions, database)
        assert scheduler.stop()[0] == 0
        assert scheduler.output.count("TaskFlow looks after its jobs") == 1
    finally:
        scheduler.kill()


@pytest.mark.parametrize("command", ["scheduler", "worker", "serve", "serve --processes 2"])
def test_settings_that_cannot_be_used_are_told_before_anything_is_started(
    tmp_path: Path, env: dict[str, str], command: str
) -> None:
    wrong = {
        "TASKFLOW_SMTP_URL": "smtps://mail?ca=nowhere.pem",
        "TASKFLOW_MAIL_FROM": "taskflow@example.com",
        "TASKFLOW_JWT_SECRET": "s" * 32,
    }
    ended = run(*command.split(), cwd=tmp_path, env={**env, **wrong})
    assert ended.returncode == 10
    assert ended.stderr.startswith("Error: TASKFLOW_SMTP_URL must name a file of certificates")


def start_with_a_pipe(
    command: str, cwd: Path, env: dict[str, str], *, held: bool = False
) -> tuple[subprocess.Popen[bytes], int, int]:
    """Return a process and both ends of a pipe where it says all; the writable one is closed unless held."""
    readable, writable = os.pipe()
    process = subprocess.Popen(
        [str(TASKFLOW), *command.split()], cwd=cwd, env=environment(env), stdin=subprocess.DEVNULL,
        stdout=writable, stderr=writable,
    )  # fmt: skip
    if not held:
        os.close(writable)
    return process, readable, writable


def read_until(readable: int, words: bytes) -> None:
    said = b""
    while words not in said:
        more = os.read(readable, 4096)
        assert more, said
        said += more


@pytest.mark.parametrize("command", ["scheduler", "worker"])
async def test_when_nobody_reads_its_log_any_more_the_work_goes_on(
    tmp_path: Path,
    env: dict[str, str],
    transactions: SqlAlchemyTransactions,
    database: psycopg.Connection[Any],
    command: str,
) -> None:
    works = is_reconciled if command == "scheduler" else is_done
    process, readable, _ = start_with_a_pipe(command, tmp_path, env)
    try:
        read_until(readable, b"TaskFlow ")
        os.close(readable)
        for _ in range(2):
            await works(transactions, database)
        (child,) = children(process.pid)
        os.kill(child, signal.SIGKILL)
        await until(lambda: children(process.pid) not in ([], [child]), 60)
        await works(transactions, database)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("command", ["scheduler", "worker"])
async def test_while_nobody_reads_its_log_the_work_goes_on(
    tmp_path: Path,
    env: dict[str, str],
    transactions: SqlAlchemyTransactions,
    database: psycopg.Connection[Any],
    command: str,
) -> None:
    works = is_reconciled if command == "scheduler" else is_done
    process, readable, writable = start_with_a_pipe(command, tmp_path, env, held=True)
    try:
        read_until(readable, b"TaskFlow ")
        (child,) = children(process.pid)
        fill(writable)
        for _ in range(2):
            await works(transactions, database)
        os.kill(child, signal.SIGKILL)
        await until(lambda: children(process.pid) not in ([], [child]), 60)
        for _ in range(2):
            await works(transactions, database)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(readable)
        os.close(writable)


@pytest.mark.parametrize("command", ["serve", "serve --processes 2"])
async def test_while_nobody_reads_its_log_the_api_answers(
    tmp_path: Path, env: dict[str, str], command: str
) -> None:
    port = free_port()
    more = {"TASKFLOW_JWT_SECRET": "s" * 32, "TASKFLOW_PORT": str(port)}
    process, readable, writable = start_with_a_pipe(command, tmp_path, env | more, held=True)
    try:
        read_until(readable, b"TaskFlow ")
        fill(writable)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for _ in range(20):
                # Each is a line in the log.
                assert (await client.get("/tasks")).status_code == 401
            if command != "serve":
                ended = children(process.pid)[0]
                os.kill(ended, signal.SIGKILL)
                await until(lambda: len(set(children(process.pid)) - {ended}) == 2, 60)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(readable)
        os.close(writable)


async def is_done(transactions: SqlAlchemyTransactions, database: psycopg.Connection[Any]) -> None:
    job = await add_job(transactions, "sample.refund", payload={"fail": "0"})
    await until(lambda: row(database, job).state is JobState.DONE, 60)
