"""Clients that people use, as they are by default: each logs in, creates a task and lists tasks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.http_world import PASSWORD
from support.serving import Threaded, threaded

SOURCES = Path(__file__).parents[1] / "clients"
COMMANDS = {
    "Java's HttpClient": ("java", "Client.java"),
    "curl --http2": ("sh", "client.sh"),
    "Node's fetch": ("node", "client.mjs"),
    "Python's http.client": (sys.executable, "client.py"),
}
NEEDED = {"curl --http2": "curl"}


@pytest.fixture(scope="module")
def served() -> Iterator[Threaded]:
    with threaded() as opened:
        yield opened


@pytest.mark.parametrize("name", COMMANDS)
def test_it_logs_in_creates_and_lists(served: Threaded, name: str) -> None:
    program, source = COMMANDS[name]
    needed = NEEDED.get(name, program)
    if shutil.which(needed) is None:
        pytest.skip(f"{needed} is not on PATH")
    before = len(served.world.store.tasks)

    done = subprocess.run(
        [program, str(SOURCES / source), f"http://127.0.0.1:{served.port}", "user@example.com", PASSWORD],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    titles = [task["title"] for task in json.loads(done.stdout)["data"]]
    assert titles == ["made by a client"] * (before + 1)
