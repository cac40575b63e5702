"""`taskflow migrate`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL instead of running it.")
@click.option("--wait", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="SECONDS",
              help="For a server that still starts, or another migrator.")  # fmt: skip
@click.option("--grant-to", metavar="ROLE",
              help="A role of PostgreSQL that gets the rights that serving needs.")  # fmt: skip
@click.option(
    "--data-dir", type=click.Path(path_type=Path), metavar="DIR", help="Of a running `taskflow dev`."
)
def migrate(as_sql: bool, wait: float, grant_to: str | None, data_dir: Path | None) -> None:
    """Bring the database to head, making it where it may.

    One migrator works at a time; others wait. It can be run again at any time.
    """
    import asyncio

    from taskflow_bootstrap import migrations
    from taskflow_cli.found import found

    if as_sql:
        click.echo(migrations.migration_sql())
        return
    settings = found(data_dir).settings
    done = asyncio.run(migrations.migrate(settings, wait=wait, tell=click.echo, grant_to=grant_to))
    if done.before == done.after:
        click.echo(f"The database is at head already: {done.after}")
    else:
        click.echo(f"Migrated from {done.before or 'nothing'} to {done.after}")
    if grant_to is not None:
        click.echo(f"The role {grant_to!r} may serve")
