"""`taskflow dev`."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import click

if TYPE_CHECKING:
    from taskflow_bootstrap.dev import Running

_INDENT: Final = 16
_EXPOSED: Final = (
    "Warning: other machines can reach this API, and everybody knows the demo passwords, the admin's too. "
    "To serve this machine alone: --host 127.0.0.1"
)
_NOT_USED = ("TASKFLOW_DATABASE_URL", "TASKFLOW_REDIS_URL", "TASKFLOW_JWT_SECRET")


@click.command()
@click.option("--host", help="[default: TASKFLOW_HOST, else 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="0 takes a free one.  [default: TASKFLOW_PORT, else 3000]"
)
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path(".taskflow"), show_default=True,
              metavar="DIR", help="Where everything is kept.")  # fmt: skip
def dev(host: str | None, port: int | None, data_dir: Path) -> None:
    """Run everything on this machine, databases too, with demo data.

    PostgreSQL and Valkey are started from wheels; nothing needs to be installed or set up. What is
    written is kept in the data directory. For one's own machine: the demo accounts are known to everybody.
    """
    from taskflow_bootstrap.dev import run_dev
    from taskflow_bootstrap.settings import with_address
    from taskflow_cli.found import settings_told

    settings = with_address(settings_told(), host, port)
    ignored = [name for name in _NOT_USED if os.environ.get(name)]
    if ignored:
        click.echo(f"Not used by `taskflow dev`, which has its own: {', '.join(ignored)}", err=True)
    run_dev(settings, data_dir, tell=lambda text: click.echo(text, err=True), on_ready=_tell_where)
    click.echo("Stopped.", err=True)


def _tell_where(running: Running) -> None:
    from taskflow_bootstrap.demo_accounts import DEMO_USERS

    width = shutil.get_terminal_size().columns
    lines = [
        ("API", running.api_url),
        *(("API, outside", url) for url in running.other_urls),
        ("Try it", f"{running.api_url}/api"),
        ("PostgreSQL", _psql(running.database_url)),
        ("Valkey", running.redis_url),
        ("Data", str(running.data_dir)),
        *((f"Demo {user.role}", f"{user.email} / {user.password}") for user in DEMO_USERS),
    ]
    click.echo(f"\nTaskFlow is ready after {running.seconds:.1f} s. Ctrl-C stops all of it.\n")
    for name, value in lines:
        # What is to be copied is never broken.
        fits = _INDENT + len(value) <= width
        click.echo(f"  {name:<{_INDENT - 2}}{value}" if fits else f"  {name}\n    {value}")
    click.echo(f"\n{_wrapped('The demo accounts exist in `taskflow dev` only.', width)}")
    if running.is_exposed:
        click.echo(_wrapped(_EXPOSED, width), err=True)
    click.echo()


def _wrapped(text: str, width: int) -> str:
    return click.wrap_text(text, width, "  ", "  ")


def _psql(url: str) -> str:
    parts = urlsplit(url)
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    words = [
        "psql",
        "-h",
        options["host"],
        "-p",
        options["port"],
        "-U",
        parts.username or "",
        parts.path.lstrip("/"),
    ]
    return shlex.join(words)
