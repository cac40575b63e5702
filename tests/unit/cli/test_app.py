"""What `taskflow` is before any command runs: quick, complete, and clear where something is missing."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from taskflow_cli.app import COMMANDS, cli


def test_the_list_of_commands_is_that_of_the_design() -> None:
    assert list(COMMANDS) == [
        *("dev", "serve", "worker", "scheduler", "migrate", "seed", "doctor", "openapi"),
        *("users", "sessions", "auth", "tasks", "jobs"),
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_each_command_says_of_itself(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert COMMANDS[name][1] in " ".join(shown.output.split())


def test_an_unknown_command_is_wrong_usage() -> None:
    assert CliRunner().invoke(cli, ["tusks"]).exit_code == 2


def test_help_answers_at_once() -> None:
    def cpu_of(*args: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *args], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Told by what click alone takes at the same time, since a busy machine is slow for both.
    both = [("from taskflow_cli.main import main; main()", "--help"), ("import click",)]
    taken = [[cpu_of("-c", *it) for it in both] for _ in range(5)]
    best, least = map(min, zip(*taken, strict=True))
    assert best < 2.5 * least


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from taskflow_cli.app import cli\n"
        "CliRunner().invoke(cli, ['--help'])\n"
        "heavy = {'sqlalchemy', 'redis', 'uvicorn', 'starlette', 'msgspec', 'rich', 'taskflow_core'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_embedding_imports_no_server() -> None:
    code = (
        "import sys, taskflow_bootstrap.embedded\n"
        "heavy = {'starlette', 'uvicorn', 'redis', 'rq', 'click', 'taskflow_http'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_plain_install_says_in_one_line_what_to_install() -> None:
    # A Python that sees our rooms and the standard library, and no third-party package.
    import taskflow_cli
    import taskflow_core

    rooms = [str(Path(str(module.__file__)).parents[1]) for module in (taskflow_cli, taskflow_core)]
    code = (
        f"import sys; sys.path[:0] = {rooms!r}\n"
        "sys.modules['click'] = None\n"
        "from taskflow_cli.main import main; main()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert "pip install 'taskflow-core[server]'" in run.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_complete_commands_and_options(shell: str) -> None:
    code = "from taskflow_cli.main import main; main()"
    asked = {"_TASKFLOW_COMPLETE": f"{shell}_complete", "COMP_WORDS": "taskflow tasks li", "COMP_CWORD": "2"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **asked}, check=True
    )
    assert "list" in run.stdout.replace(",", "\n").splitlines()


def test_it_runs_without_a_terminal_and_without_colours() -> None:
    env = {**os.environ, "NO_COLOR": "1"}
    code = "from taskflow_cli.main import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, env=env, check=True
    )
    assert run.stdout.startswith("taskflow ")
    assert "\x1b" not in run.stdout
