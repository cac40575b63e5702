"""Starts what is measured, in processes of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_STOP_SECONDS: Final = 30


@contextmanager
def serving(
    directory: Path, database: str, redis: str, secret: str, **settings: str
) -> Iterator[tuple[str, int]]:
    """Run `taskflow serve` in one process, with these settings; yield its URL and process id."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKFLOW_")}
    given = {"database_url": database, "redis_url": redis, "jwt_secret": secret, "port": "0", **settings}
    environment |= {f"TASKFLOW_{name.upper()}": value for name, value in given.items()}
    command = [str(Path(sys.executable).with_name("taskflow")), "serve"]
    with (
        (directory / "api.log").open("wb") as log,
        started(command, environment, log.fileno(), directory) as told,
    ):
        yield told


@contextmanager
def started(
    command: list[str], environment: dict[str, str], errors: int | None, directory: Path
) -> Iterator[tuple[str, int]]:
    """Start something that tells its URL on its first line; stop it in the end."""
    process = subprocess.Popen(
        command, env=environment, cwd=directory, stdout=subprocess.PIPE, stderr=errors, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise RuntimeError(f"{' '.join(command)} did not start; see above, or {directory / 'api.log'}")
        yield found[0], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_STOP_SECONDS)
