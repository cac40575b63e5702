"""How long the command line takes to start: the help of every command, and `tasks list`.

    python -m benchmarks.commands [--data-dir DIR] [--runs 20]

DIR is that of a running `taskflow dev`; without it only help texts are measured. The byte code is cached, as
after an installation. Prints medians in milliseconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.machine import describe
from taskflow_cli.app import cli

TASKFLOW = Path(sys.executable).with_name("taskflow")


def command_lines(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from command_lines(found, (*words, name))


def milliseconds(words: tuple[str, ...], environment: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run([TASKFLOW, *words], env=environment, check=True, capture_output=True)
    return (time.perf_counter() - begun) * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    parser.add_argument("--runs", type=int, default=20)
    given = parser.parse_args()
    measured = [(*words, "--help") for words in command_lines(cli)]
    if given.data_dir:
        measured.append(("tasks", "list", "--data-dir", given.data_dir))
    print(describe())
    with tempfile.TemporaryDirectory() as cache:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        for words in measured:
            milliseconds(words, environment)
            times = [milliseconds(words, environment) for _ in range(given.runs)]
            print(f"{statistics.median(times):6.0f} ms  taskflow {' '.join(words)}", flush=True)


if __name__ == "__main__":
    main()
