"""The examples run as they stand."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_inside_a_hosts_transaction(fresh_database_url: str) -> None:
    printed = run("embed_sqlalchemy.py", fresh_database_url)
    assert "tasks: ['Pack a telescope'] orders: ['a telescope']" in printed
