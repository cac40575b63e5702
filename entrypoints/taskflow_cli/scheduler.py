"""`taskflow scheduler`."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.option("--alive-file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Touched every few seconds while all processes work, for health checks.")  # fmt: skip
@click.pass_context
def scheduler(ctx: click.Context, alive_file: Path | None) -> None:
    """See what falls due, and that no job is forgotten.

    It makes jobs of what time brings about, and wakes workers for what is due. Run any number: each thing is
    done by one of them, and by another where that one is gone. It is watched, and started again where it dies
    or hangs.
    """
    from taskflow_bootstrap.logs import saying
    from taskflow_bootstrap.work import schedule
    from taskflow_cli.found import servers_found

    announce = saying(sys.stdout)
    code = schedule(
        servers_found(),
        on_ready=lambda: announce("TaskFlow looks after its jobs"),
        tell=saying(sys.stderr),
        alive_file=alive_file,
    )
    ctx.exit(code)
