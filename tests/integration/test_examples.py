"""The examples run as they stand."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_inside_a_hosts_transaction(fresh_database_url: str) -> None:
    printed = run("embed_sqlalchemy.py", fresh_database_url)
    assert "tasks: ['Pack a telescope'] orders: ['a telescope']" in printed


@pytest.mark.parametrize("with_redis", [True, False])
def test_a_job_of_the_hosts_own(fresh_database_url: str, redis_url: str, with_redis: bool) -> None:
    printed = run("own_job.py", fresh_database_url, *([redis_url] if with_redis else []))
    assert "shipped on try 2" in printed
    assert "tasks: ['Tell the customer of a telescope']" in printed


def test_inside_a_hosts_application(fresh_database_url: str) -> None:
    printed = run("mount_asgi.py", fresh_database_url)
    assert printed.splitlines() == ["created: /taskflow/tasks", "title: Call back", "server: /taskflow"]
