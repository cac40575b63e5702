"""`taskflow worker`."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.option("--processes", type=click.IntRange(1, 256), default=1, show_default=True,
              help="They are watched, and started again where they die or hang.")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True,
              help="Jobs at a time in each.")  # fmt: skip
@click.option("--alive-file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Touched every few seconds while all processes work, for health checks.")  # fmt: skip
@click.pass_context
def worker(ctx: click.Context, processes: int, concurrency: int, alive_file: Path | None) -> None:
    """Do background jobs.

    Needs the database, and Redis to hear of new jobs at once; without Redis it asks the database. On SIGTERM
    or Ctrl-C what it is at has 10 s to end, and is given back after that.
    """
    from taskflow_bootstrap.logs import saying
    from taskflow_bootstrap.work import work
    from taskflow_cli.found import servers_found

    announce = saying(sys.stdout)
    code = work(
        servers_found(),
        processes=processes,
        concurrency=concurrency,
        on_ready=lambda: announce(f"TaskFlow does jobs ({processes} process{'es' * (processes > 1)})"),
        tell=saying(sys.stderr),
        alive_file=alive_file,
    )
    ctx.exit(code)
