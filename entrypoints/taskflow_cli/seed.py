"""`taskflow seed`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from taskflow_cli import options

if TYPE_CHECKING:
    from taskflow_bootstrap.demo import Seeded
    from taskflow_bootstrap.settings import Settings


@click.command()
@click.option(
    "--data-dir", type=click.Path(path_type=Path), metavar="DIR", help="Of a running `taskflow dev`."
)
@options.yes
def seed(data_dir: Path | None, yes: bool) -> None:
    """Add the demo accounts and their tasks.

    In the database of `taskflow dev` they get the passwords that everybody knows. In any other, an admin
    is an admin: it asks first, and the passwords are random and told once.
    """
    import asyncio

    from taskflow_bootstrap.demo_accounts import DEMO_USERS
    from taskflow_cli.found import found

    where = found(data_dir)
    is_dev = where.data_dir is not None
    if not is_dev:
        emails = " and ".join(user.email for user in DEMO_USERS)
        options.confirm(
            f"This is not a database of `taskflow dev`. Make {emails} in it all the same?", yes=yes
        )
    made = asyncio.run(_seed(where.settings, known_passwords=is_dev))
    if not made:
        click.echo("The demo accounts are there already.")
    for account in made:
        click.echo(f"{account.email}  {account.role}  password: {account.password}  {account.tasks} tasks")
    if made and not is_dev:
        click.echo("The passwords are told this once.", err=True)


async def _seed(settings: Settings, *, known_passwords: bool) -> list[Seeded]:
    from taskflow_bootstrap.container import Container, close
    from taskflow_bootstrap.demo import seed as add

    container = Container(settings=settings)
    try:
        return await add(container, known_passwords=known_passwords)
    finally:
        await close(container)
