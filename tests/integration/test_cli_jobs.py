"""`taskflow worker`, `taskflow scheduler` and `taskflow jobs`, as they are installed."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from support.processes import TASKFLOW, Background, environment, run

QUEUE = "rq:queue:taskflow"
AWAY = "redis://127.0.0.1:1/0"
# One that has more to do than cores gets longer.


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return {"TASKFLOW_DATABASE_URL": database_url, "TASKFLOW_REDIS_URL": redis_url}


@pytest.fixture
def queued(redis_url: str) -> Iterator[Callable[[], int]]:
    """How many hints wait in the queue, which is empty at first."""
    with redis.Redis.from_url(redis_url) as client:
        client.delete(QUEUE)
        yield lambda: int(client.llen(QUEUE))


def told(*args: object, cwd: Path, env: dict[str, str]) -> Any:
    ended = run(*args, "--json", cwd=cwd, env=env)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return json.loads(ended.stdout)


def wait_for_state(job: str, state: str, database: psycopg.Connection[Any], timeout: float = 30) -> None:
    end = time.monotonic() + timeout
    while database.execute("SELECT state FROM ledger WHERE id = %s", (job,)).fetchone() != (state,):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_job_from_its_beginning_over_its_death_to_its_end(
    tmp_path: Path, env: dict[str, str], database: psycopg.Connection[Any]
) -> None:
    worker = Background.start("worker", "--processes", 2, "--concurrency", 2, cwd=tmp_path, env=env)
    scheduler = Background.start("scheduler", cwd=tmp_path, env=env)
    try:
        worker.wait_for("TaskFlow does jobs (2 processes)")
        scheduler.wait_for("TaskFlow looks after its jobs")
        doomed = told("jobs", "sample", "--fail", 1, "--tries", 1, cwd=tmp_path, env=env)["id"]
        wait_for_state(doomed, "dead", database)
        assert "The bank did not answer" in told("jobs", "show", doomed, cwd=tmp_path, env=env)["error"]
        assert told("jobs", "retry", doomed, cwd=tmp_path, env=env)["attempts"] == 0
        wait_for_state(doomed, "done", database)
        useless = told("jobs", "sample", "--fail", 2, "--tries", 1, cwd=tmp_path, env=env)["id"]
        wait_for_state(useless, "dead", database)
        assert "Discarded" in run("jobs", "discard", useless, cwd=tmp_path, env=env).stdout
        # The first scan made jobs that clean up, and these workers did them.
        (cleaned,) = database.execute("SELECT id FROM ledger WHERE kind = 'clean_up.tasks'").fetchall()
        wait_for_state(cleaned[0], "done", database)
        for background in (worker, scheduler):
            code, seconds = background.stop()
            assert (code, seconds < 30) == (0, True)
            assert "Traceback" not in background.output
        assert worker.output.count("job died") == 2
    finally:
        worker.kill()
        scheduler.kill()


@pytest.mark.parametrize("command", ["worker", "scheduler"])
def test_what_is_missing_is_named_and_no_secret_is(tmp_path: Path, command: str) -> None:
    ended = run(command, cwd=tmp_path)
    assert ended.returncode == 10
    assert "TASKFLOW_DATABASE_URL" in ended.stderr
    assert "TASKFLOW_REDIS_URL" in ended.stderr
    assert "TASKFLOW_JWT_SECRET" not in ended.stderr


def test_workers_end_with_their_watcher(tmp_path: Path, env: dict[str, str]) -> None:
    worker = Background.start("worker", "--processes", 2, cwd=tmp_path, env=env)
    worker.wait_for("TaskFlow does jobs")
    pid = worker.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) == 2
    worker.kill()
    end = time.monotonic() + 15
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_a_command_causes_is_hinted_before_it_ends(
    tmp_path: Path, env: dict[str, str], queued: Callable[[], int]
) -> None:
    told("jobs", "sample", cwd=tmp_path, env=env)
    assert queued() == 1
    made = run(
        "users",
        "create",
        "ada@example.com",
        "--password-stdin",
        cwd=tmp_path,
        env=env,
        stdin="a long password\n",
    )
    assert made.returncode == 0
    before = queued()
    told("tasks", "create", "For Ada", "--owner", "ada@example.com", cwd=tmp_path, env=env)
    assert queued() == before + 1
    # In one transaction for many lines, too.
    (tmp_path / "in.jsonl").write_text('{"title": "Also for Ada"}\n')
    import_it = ("tasks", "import", "in.jsonl", "--owner", "ada@example.com")
    assert run(*import_it, "--notify", cwd=tmp_path, env=env).returncode == 0
    assert queued() == before + 2
    assert run(*import_it, cwd=tmp_path, env=env).returncode == 0
    assert queued() == before + 2


@pytest.mark.parametrize("address", [AWAY, ""])
def test_without_redis_a_command_does_the_same(tmp_path: Path, env: dict[str, str], address: str) -> None:
    made = told("jobs", "sample", cwd=tmp_path, env={**env, "TASKFLOW_REDIS_URL": address})
    assert told("jobs", "show", made["id"], cwd=tmp_path, env=env)["state"] == "pending"


def test_programs_watch_lines_until_ctrl_c(tmp_path: Path, env: dict[str, str]) -> None:
    watching = Background.start("jobs", "list", "--watch", "--json", cwd=tmp_path, env=env)
    try:
        watching.wait_for("\n")
        made = told("jobs", "sample", cwd=tmp_path, env=env)["id"]
        watching.wait_for(made)
        assert watching.stop(signal.SIGINT)[0] == 130
        *lines, last = watching.output.splitlines()
        assert last == "Stopped."
        assert [job["id"] for job in json.loads(lines[-1])["data"]] == [made]
    finally:
        watching.kill()


def test_people_watch_a_table_that_is_painted_anew(tmp_path: Path, env: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    watching = subprocess.Popen(
        [str(TASKFLOW), "jobs", "stats", "--watch"],
        cwd=tmp_path,
        env=environment({**env, "TERM": "xterm", "COLUMNS": "120"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    try:
        seen = read_until(ours, "Nothing is to be done.")
        told("jobs", "sample", cwd=tmp_path, env=env)
        seen += read_until(ours, "sample.refund")
        # The cursor went back up to where the last table began.
        assert "\x1b[" in seen
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 130
    finally:
        watching.kill()
        watching.wait()
        os.close(theirs)
        os.close(ours)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_list_fits_the_terminal(tmp_path: Path, env: dict[str, str], columns: int) -> None:
    made = told("jobs", "sample", cwd=tmp_path, env=env)["id"]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        subprocess.run(
            [str(TASKFLOW), "jobs", "list"],
            cwd=tmp_path,
            env=environment({**env, "TERM": "dumb", "COLUMNS": ""}),
            stdin=theirs,
            stdout=theirs,
            timeout=60,
            check=True,
        )
        head, row = os.read(ours, 65_536).decode().splitlines()[:2]
    finally:
        os.close(theirs)
        os.close(ours)
    assert head.split() == ["ID", "Kind", "State", "Tries", "Due/ended", "Error"]
    assert row.split()[0] == made
    assert "pending" in row
    assert max(len(head), len(row)) <= columns


def read_until(descriptor: int, words: str) -> str:
    seen = ""
    while words not in seen:
        seen += os.read(descriptor, 4096).decode(errors="replace")
    return seen


def test_the_doctor_looks_at_jobs(tmp_path: Path, env: dict[str, str]) -> None:
    told("jobs", "sample", cwd=tmp_path, env=env)
    report = json.loads(run("doctor", "--json", cwd=tmp_path, env=env).stdout)
    (jobs,) = [check for check in report["checks"] if check["check"] == "jobs"]
    assert jobs["level"] == "ok"
    assert jobs["detail"].startswith("1 due, the oldest for ")
