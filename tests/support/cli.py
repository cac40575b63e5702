"""The CLI over a TaskFlow in memory."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from support.samples import World
from taskflow_bootstrap.embedded import TaskFlow
from taskflow_cli.app import cli
from taskflow_core import UseCases


@dataclass
class Cli:
    """Runs commands in this process; `refuses`, where it is set, is how each of them ends."""

    world: World
    refuses: BaseException | None = None

    def __call__(self, *args: object, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(cli, [str(arg) for arg in args], input=stdin, obj=self._open)

    def json(self, *args: object, stdin: str | bytes | None = None) -> Any:
        result = self(*args, "--json", stdin=stdin)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    @asynccontextmanager
    async def _open(self, _: Path | None) -> AsyncIterator[TaskFlow]:
        if self.refuses is not None:
            raise self.refuses
        yield TaskFlow(self.world.use_cases, self.world.reads, self.world.transactions, self._together)

    @asynccontextmanager
    async def _together(self) -> AsyncIterator[UseCases]:
        yield self.world.use_cases


def imported_by(*words: str, environment: Mapping[str, str] = {}) -> set[str]:
    """The packages that a process has imported once a command has ended."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('imported:', *sorted(sys.modules), file=sys.stderr))\n"
        "from taskflow_cli.main import main; main()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    told, modules = run.stderr.rsplit("imported:", 1)
    assert "Traceback" not in told, told
    return set(modules.split())
