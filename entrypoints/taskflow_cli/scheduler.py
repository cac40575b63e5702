"""`taskflow scheduler`."""

from __future__ import annotations

import sys

import click


@click.command()
@click.pass_context
def scheduler(ctx: click.Context) -> None:
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
    )
    ctx.exit(code)
