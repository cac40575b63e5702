"""The installed `taskflow` against PostgreSQL and Redis."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.cli import imported_by
from support.processes import PATIENT_DOCTOR, TASKFLOW, run

SECRET = "a-secret-of-the-tests-0123456789-abcdefgh"


class Installed:
    def __init__(self, cwd: Path, **env: str) -> None:
        self.cwd, self.env = cwd, env

    def __call__(self, *args: object, code: int = 0, stdin: str = "") -> str:
        program = PATIENT_DOCTOR if args[0] == "doctor" else (str(TASKFLOW),)
        ended = run(*args, cwd=self.cwd, env=self.env, stdin=stdin, program=program)
        assert ended.returncode == code, ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stdout if code == 0 else ended.stdout + ended.stderr

    def json(self, *args: object, stdin: str = "") -> Any:
        return json.loads(self(*args, "--json", stdin=stdin))


@pytest.fixture
def taskflow(tmp_path: Path, database_url: str, redis_url: str) -> Installed:
    return Installed(
        tmp_path, TASKFLOW_DATABASE_URL=database_url, TASKFLOW_REDIS_URL=redis_url, TASKFLOW_JWT_SECRET=SECRET
    )


def with_database(url: str, name: str) -> str:
    return url.rpartition("/")[0] + f"/{name}" + ("?" + url.partition("?")[2] if "?" in url else "")


def test_an_account_its_tasks_and_both_ways_of_a_file(taskflow: Installed) -> None:
    user = taskflow.json(
        "users", "create", "Ada@example.com", "--role", "admin", "--password-stdin", stdin="a long password\n"
    )
    made = taskflow.json(
        "tasks", "create", "Über", "--as", "ada@example.com", "--due", "2030-01-31T17:00:00+02:00"
    )
    assert (made["userId"], made["dueDate"]) == (user["id"], "2030-01-31T15:00:00Z")
    taskflow("tasks", "complete", made["id"], "--as", "ada@example.com")
    (taskflow.cwd / "in.jsonl").write_text(
        '{"title": "One"}\nnonsense\n{"title": "Two", "status": "CANCELLED"}\n'
    )
    told = taskflow("tasks", "import", "in.jsonl", "--owner", "ada@example.com", code=1)
    assert "2 tasks created, 1 lines failed" in told
    assert "line 2:" in told
    taskflow("tasks", "export", "out.jsonl", "--owner", "ada@example.com")
    titles = [json.loads(line)["title"] for line in (taskflow.cwd / "out.jsonl").read_text().splitlines()]
    assert titles == ["Über", "One", "Two"]
    taskflow("tasks", "import", "out.jsonl")
    assert taskflow.json("tasks", "stats", "--owner", user["id"])["byStatus"] == {
        "PENDING": 2, "IN_PROGRESS": 0, "COMPLETED": 2, "CANCELLED": 2
    }  # fmt: skip
    assert taskflow.json("tasks", "history", made["id"])["data"][0]["actorId"] == user["id"]
    assert "last" in taskflow("users", "delete", "ada@example.com", "--yes", code=7)


def test_thousands_of_lines_are_kept_in_the_order_of_the_file(taskflow: Installed) -> None:
    taskflow("users", "create", "ada@example.com", "--password-stdin", stdin="a long password\n")
    lines = 3_000
    file = taskflow.cwd / "many.jsonl"
    file.write_text("".join(f'{{"title": "{number}"}}\n' for number in range(lines)))
    assert taskflow("tasks", "import", file, "--owner", "ada@example.com").startswith(
        f"{lines} tasks created, 0"
    )
    out = taskflow("tasks", "export").splitlines()
    assert [json.loads(line)["title"] for line in out] == [str(number) for number in range(lines)]


def test_migrate_makes_the_database_and_can_be_run_again(tmp_path: Path, postgres_url: str) -> None:
    url = with_database(postgres_url, "made_by_migrate")
    taskflow = Installed(tmp_path, TASKFLOW_DATABASE_URL=url)
    try:
        assert "no tables" in str(taskflow("doctor", code=1)) or "cannot be reached" in taskflow(
            "doctor", code=1
        )
        assert "Migrated from nothing" in taskflow("migrate")
        assert "at head already" in taskflow("migrate")
        assert taskflow.json("tasks", "stats")["total"] == 0
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute("DROP DATABASE IF EXISTS made_by_migrate WITH (FORCE)")


def test_migrate_prints_its_sql_without_a_database(tmp_path: Path) -> None:
    assert "CREATE TABLE tasks" in Installed(tmp_path)("migrate", "--sql")


def test_a_database_that_is_away_is_told_soon(tmp_path: Path) -> None:
    away = Installed(tmp_path, TASKFLOW_DATABASE_URL="postgresql://me:hunter2@127.0.0.1:1/x")
    for told in (away("migrate", "--wait", "0.1", code=11), away("tasks", "list", code=9)):
        assert "cannot be reached" in told
        assert "hunter2" not in told


def test_for_programs_an_error_is_one_document(tmp_path: Path) -> None:
    away = Installed(tmp_path, TASKFLOW_DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert json.loads(away("tasks", "list", "--json", code=9))["code"] == "unavailable"


def test_a_wrong_database_is_told_from_a_server_that_is_away(tmp_path: Path, database_url: str) -> None:
    missing = Installed(tmp_path, TASKFLOW_DATABASE_URL=with_database(database_url, "nothing_of_this_name"))
    assert 'database "nothing_of_this_name" does not exist' in missing("tasks", "list", code=9)
    away = Installed(tmp_path, TASKFLOW_DATABASE_URL="postgresql://me:hunter2@127.0.0.1:1/x")
    for told in (away("tasks", "list", code=9), away("doctor", code=1)):
        assert "Connection refused" in told
        assert "hunter2" not in told


def test_wrong_settings_stop_the_start_and_name_the_variable(tmp_path: Path) -> None:
    wrong = Installed(tmp_path, TASKFLOW_PORT="x", TASKFLOW_DATABSE_URL="x", TASKFLOW_JWT_SECRET="short")
    told = wrong("serve", code=10)
    assert "TASKFLOW_PORT" in told
    assert "TASKFLOW_JWT_SECRET" in told
    missing = Installed(tmp_path, TASKFLOW_DATABSE_URL="x")("serve", code=10)
    assert "Did you mean TASKFLOW_DATABASE_URL" in missing
    assert "TASKFLOW_REDIS_URL" in missing


def test_seeding_another_database_asks_and_makes_random_passwords(taskflow: Installed) -> None:
    assert "--yes" in taskflow("seed", code=1)
    assert taskflow.json("users", "list")["data"] == []
    told = taskflow("seed", "--yes")
    assert "admin@example.com" in told
    assert "user123" not in told
    assert "admin123" not in told
    assert len(taskflow.json("users", "list")["data"]) == 2
    titles = [task["title"] for task in taskflow.json("tasks", "list")["data"]]
    assert len(set(titles)) == len(titles) == 10
    assert taskflow("tasks", "list").count(" admin@example.com\n") == 5
    assert "already" in taskflow("seed", "--yes")


def test_the_doctor_finds_all_well(taskflow: Installed) -> None:
    report = taskflow.json("doctor")
    levels = {check["check"]: check["level"] for check in report["checks"]}
    assert report["ok"] is True
    # The tests' own server keeps nothing on disk.
    assert levels.pop("redis persistence") == "warn"
    # Nor does a scheduler run beside them; that the database is as old as that is not sure.
    assert levels.pop("schedulers") in ("ok", "warn")
    assert set(levels.values()) == {"ok"}
    assert {"database", "migrations", "clock", "redis", "redis eviction", "secrets"} <= set(levels)


def test_the_doctor_says_what_to_do(tmp_path: Path, fresh_database_url: str) -> None:
    (tmp_path / ".env").write_text("TASKFLOW_JWT_SECRT=x\n")
    (tmp_path / ".env").chmod(0o644)
    ill = Installed(
        tmp_path, TASKFLOW_DATABASE_URL=fresh_database_url, TASKFLOW_REDIS_URL="redis://127.0.0.1:1/0"
    )
    told = ill("doctor", code=1)
    for words in (
        "taskflow migrate",
        "TASKFLOW_JWT_SECRET is not set",
        "Did you mean",
        "chmod 600",
        "redis://127.0.0.1:1/0",
    ):
        assert words in told
    report = json.loads(ill("doctor", "--json", code=1))
    failed = {check["check"] for check in report["checks"] if check["level"] == "fail"}
    assert failed == {"migrations", "redis"}
    assert all(check["advice"] for check in report["checks"] if check["level"] != "ok")


def test_the_doctor_without_any_settings(tmp_path: Path) -> None:
    told = Installed(tmp_path)("doctor", code=1)
    assert "TASKFLOW_DATABASE_URL is not set" in told
    assert "taskflow dev" in told


def test_the_apis_description(tmp_path: Path) -> None:
    taskflow = Installed(tmp_path)
    assert json.loads(taskflow("openapi"))["openapi"].startswith("3.1")
    taskflow("openapi", "--format", "http", "-o", "requests.http")
    assert "POST " in (tmp_path / "requests.http").read_text()
    assert "cannot be written" in taskflow("openapi", "-o", "missing/x", code=1)


def test_a_list_of_tasks_imports_what_it_needs(database_url: str) -> None:
    modules = imported_by("tasks", "list", environment={"TASKFLOW_DATABASE_URL": database_url})
    assert "taskflow_sqlalchemy.reads" in modules
    unneeded = {
        *("alembic", "dependency_injector", "httptools", "jinja2", "redis", "rq", "starlette", "structlog"),
        *("uvicorn", "uvloop"),
    }
    assert modules & unneeded == set()
