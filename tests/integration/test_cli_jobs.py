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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from support.processes import PATIENT_DOCTOR, TASKFLOW, Background, altered, environment, run

QUEUE = "rq:queue:taskflow"
AWAY = "redis://127.0.0.1:1/0"
# A hint is given up after a second or two; here it is not, so that it is there whoever is slow.
PATIENT = altered("""
import taskflow_bootstrap.queues, taskflow_rq.queue as queue
queue.CONNECT_SECONDS = queue.ANSWER_SECONDS = queue.CLOSE_SECONDS = 60
taskflow_bootstrap.queues.CLOSE_SECONDS = 90
""")


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return {"TASKFLOW_DATABASE_URL": database_url, "TASKFLOW_REDIS_URL": redis_url}


@pytest.fixture
def queued(redis_url: str) -> Iterator[Callable[[], int]]:
    """How many hints wait in the queue, which is empty at first."""
    with redis.Redis.from_url(redis_url) as client:
        client.delete(QUEUE)
        yield lambda: int(client.llen(QUEUE))


def told(*args: object, cwd: Path, env: dict[str, str], program: Sequence[str] = (str(TASKFLOW),)) -> Any:
    ended = run(*args, "--json", cwd=cwd, env=env, program=program)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return json.loads(ended.stdout)


def wait_for_state(job: str, state: str, database: psycopg.Connection[Any]) -> None:
    end = time.monotonic() + 60
    while database.execute("SELECT state FROM ledger WHERE id = %s", (job,)).fetchone() != (state,):
        assert time.monotonic() < end
        time.sleep(0.02)


def wait_for_job(kind: str, database: psycopg.Connection[Any]) -> str:
    """Return the first job of a kind, once there is one."""
    end = time.monotonic() + 60
    asked = "SELECT id FROM ledger WHERE kind = %s ORDER BY id LIMIT 1"
    while (found := database.execute(asked, (kind,)).fetchone()) is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    return str(found[0])


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
        wait_for_state(wait_for_job("clean_up.tasks", database), "done", database)
        for background in (worker, scheduler):
            assert background.stop()[0] == 0
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
    end = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_a_command_causes_is_hinted_before_it_ends(
    tmp_path: Path, env: dict[str, str], queued: Callable[[], int]
) -> None:
    told("jobs", "sample", cwd=tmp_path, env=env, program=PATIENT)
    assert queued() == 1
    made = run(
        "users",
        "create",
        "ada@example.com",
        "--password-stdin",
        cwd=tmp_path,
        env=env,
        stdin="a long password\n",
        program=PATIENT,
    )
    assert made.returncode == 0
    before = queued()
    create = ("tasks", "create", "For Ada", "--owner", "ada@example.com")
    told(*create, cwd=tmp_path, env=env, program=PATIENT)
    assert queued() == before + 1
    # In one transaction for many lines, too.
    (tmp_path / "in.jsonl").write_text('{"title": "Also for Ada"}\n')
    import_it = ("tasks", "import", "in.jsonl", "--owner", "ada@example.com")
    assert run(*import_it, "--notify", cwd=tmp_path, env=env, program=PATIENT).returncode == 0
    assert queued() == before + 2
    assert run(*import_it, cwd=tmp_path, env=env, program=PATIENT).returncode == 0
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
        assert watching.wait(60) == 130
    finally:
        watching.kill()
        watching.wait()
        os.close(theirs)
        os.close(ours)


@pytest.mark.parametrize(("columns", "height"), [(60, 2), (80, 2), (140, 1)])
def test_a_list_fits_the_terminal(tmp_path: Path, env: dict[str, str], columns: int, height: int) -> None:
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
            timeout=90,
            check=True,
        )
        lines = read_until(ours, "\n", 2 * height).splitlines()[: 2 * height]
    finally:
        os.close(theirs)
        os.close(ours)
    head, row = " ".join(lines[:height]).split(), " ".join(lines[height:]).split()
    assert sorted(head) == ["Due/ended", "Error", "ID", "Kind", "State", "Tries"]
    assert {made, "pending"} < set(row)
    assert max(map(len, lines)) <= columns


def read_until(descriptor: int, words: str, times: int = 1) -> str:
    seen = b""
    while seen.count(words.encode()) < times:
        seen += os.read(descriptor, 4096)
    return seen.decode(errors="replace")


def test_the_doctor_looks_at_jobs(tmp_path: Path, env: dict[str, str]) -> None:
    told("jobs", "sample", cwd=tmp_path, env=env)
    report = json.loads(run("doctor", "--json", cwd=tmp_path, env=env, program=PATIENT_DOCTOR).stdout)
    (jobs,) = [check for check in report["checks"] if check["check"] == "jobs"]
    assert jobs["level"] == "ok"
    assert jobs["detail"].startswith("1 due, the oldest for ")
