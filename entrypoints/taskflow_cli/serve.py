"""`taskflow serve`."""

from __future__ import annotations

import sys

import click


@click.command()
@click.option("--host", help="[default: TASKFLOW_HOST, else 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="[default: TASKFLOW_PORT, else 3000]")
@click.option("--processes", type=click.IntRange(1, 256), default=1, show_default=True,
              help="One for each core is a good number.")  # fmt: skip
@click.pass_context
def serve(ctx: click.Context, host: str | None, port: int | None, processes: int) -> None:
    """Serve the API.

    On SIGTERM or Ctrl-C it takes no more requests and gives those in flight 10 s.
    """
    from taskflow_bootstrap import serve as bootstrap
    from taskflow_bootstrap.logs import saying
    from taskflow_bootstrap.settings import with_address
    from taskflow_cli.found import settings_told

    settings, announce = with_address(settings_told(), host, port), saying(sys.stdout)
    code = bootstrap.serve(
        settings,
        processes=processes,
        on_ready=lambda where: announce(f"TaskFlow {where} ({processes} process{'es' * (processes > 1)})"),
        tell=saying(sys.stderr),
    )
    ctx.exit(code)
