"""`taskflow tasks export`: JSON Lines that `import` takes, in constant memory."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import IO, TYPE_CHECKING, Any

import click
import msgspec

from taskflow_cli import options
from taskflow_cli.listing import Listing, filters, query_of
from taskflow_cli.output import escaped, progress_bar
from taskflow_cli.session import Session, with_session
from taskflow_cli.writing import output_file
from taskflow_http import schemas

if TYPE_CHECKING:
    from rich.progress import Progress


@click.command("export")
@click.argument("target", default="-", metavar="[FILE|-]")
@filters("createdAt")
@with_session
async def export_tasks(session: Session, target: str, **chosen: Any) -> None:
    """Write tasks as JSON Lines, one a line as the API shows it, oldest first.

    An existing FILE is replaced once all of it is written, and keeps its mode; a new one is for its owner
    alone. Pipes, devices and /dev/stdout are written to directly.

    To have them elsewhere: taskflow tasks export - | taskflow tasks import --owner EMAIL -
    """
    listing = Listing(session.do.list_tasks, session.actor, None)
    items = listing.items(await query_of(session, chosen))
    if target == "-":
        with options.interruptible():
            count = await _write(sys.stdout.buffer, items, None)
    else:
        with output_file(target) as file, progress_bar("Exporting", None) as progress:
            count = await _write(file, items, progress)
    click.echo(f"{count} tasks exported.", err=True)


async def _write(stream: IO[bytes], items: AsyncIterator[Any], progress: Progress | None) -> int:
    encoder, count = msgspec.json.Encoder(), 0
    async for task in items:
        stream.write(f"{escaped(encoder.encode(schemas.Task.of(task)))}\n".encode())
        count += 1
        if progress is not None:
            progress.advance(progress.task_ids[0])
    stream.flush()
    return count
