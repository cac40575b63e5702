"""What `taskflow` is before any command runs: quick, complete, and clear where something is missing."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from support.cli import imported_by
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


HEAVY = {
    *(
        "alembic",
        "asyncio",
        "bcrypt",
        "dependency_injector",
        "httptools",
        "jinja2",
        "psycopg",
        "redis",
        "rich",
        "rq",
    ),
    *("sqlalchemy", "starlette", "structlog", "uvicorn", "uvloop", "zxcvbn"),
}


def command_lines(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from command_lines(found, (*words, name))


@pytest.mark.parametrize("words", [*command_lines(cli)], ids=" ".join)
def test_the_help_of_every_command_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    modules = imported_by(*words, "--help")
    assert {name for name in modules if name.partition(".")[0] in HEAVY} == set()
    assert "taskflow_core.use_cases.bundle" not in modules


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


@pytest.mark.parametrize(
    "package",
    ["taskflow_bootstrap.embedded", "taskflow_bootstrap.asgi", "taskflow_http", "taskflow_sqlalchemy"],
)
def test_a_plain_install_names_the_extra_to_whoever_imports_more(package: str) -> None:
    code = (
        "import sys\n"
        "for name in ('bcrypt', 'jwt', 'msgspec', 'psycopg', 'sqlalchemy', 'starlette'):\n"
        "    sys.modules[name] = None\n"
        f"import {package}\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'taskflow-core[server]'" in run.stderr.splitlines()[-1]


def test_embedding_refuses_what_it_cannot_join_by_a_sentence() -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from sqlalchemy.orm import Session

    from taskflow_bootstrap.embedded import embed

    url = "postgresql+psycopg://127.0.0.1:1/x"
    sync, other = create_engine(url), create_async_engine(url)
    for given, told in [
        (Session(sync), "orm.session.Session"),
        (sync, "a sqlalchemy.engine.base.Engine"),
        (AsyncSession(other), "await session.connection()"),
        (other, "AsyncEngine"),
        (None, "NoneType"),
    ]:
        with pytest.raises(TypeError, match=re.escape(told)):
            embed(given)  # type: ignore[arg-type]  # what people try


def test_it_runs_without_a_terminal_and_without_colours() -> None:
    env = {**os.environ, "NO_COLOR": "1"}
    code = "from taskflow_cli.main import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, env=env, check=True
    )
    assert run.stdout.startswith("taskflow ")
    assert "\x1b" not in run.stdout
