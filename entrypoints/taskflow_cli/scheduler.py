"""`taskflow scheduler`."""

from __future__ import annotations

import click


@click.command()
@click.pass_context
def scheduler(ctx: click.Context) -> None:
    """See what falls due, and that no job is forgotten.

    It makes jobs of what time brings about, and wakes workers for what is due. Run any number: each thing is
    done by one of them, and by another where that one is gone.
    """
    from taskflow_bootstrap.work import schedule
    from taskflow_cli.found import settings_told

    ctx.exit(schedule(settings_told(), on_ready=lambda: click.echo("TaskFlow looks after its jobs")))
