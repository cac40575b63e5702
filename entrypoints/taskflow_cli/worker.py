"""`taskflow worker`."""

from __future__ import annotations

import click


@click.command()
@click.option("--processes", type=click.IntRange(1, 256), default=1, show_default=True,
              help="They are watched, and started again where they die or hang.")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True,
              help="Jobs at a time in each.")  # fmt: skip
@click.pass_context
def worker(ctx: click.Context, processes: int, concurrency: int) -> None:
    """Do background jobs.

    Needs the database, and Redis to hear of new jobs at once; without Redis it asks the database. On SIGTERM
    or Ctrl-C it ends what it is at, or gives it back, within 10 s.
    """
    from taskflow_bootstrap.work import work
    from taskflow_cli.found import settings_told

    code = work(
        settings_told(),
        processes=processes,
        concurrency=concurrency,
        on_ready=lambda: click.echo(f"TaskFlow does jobs ({processes} process{'es' * (processes > 1)})"),
        tell=lambda text: click.echo(text, err=True),
    )
    ctx.exit(code)
