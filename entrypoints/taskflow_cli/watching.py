"""`--watch`: look at the same thing again and again."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from taskflow_cli.output import Output, console
from taskflow_cli.tables import Columns, table_of
from taskflow_core import Unavailable

if TYPE_CHECKING:
    from rich.console import RenderableType

EVERY_SECONDS: Final = 1.0

option = click.option(
    "--watch", is_flag=True, help="Look anew every second, until Ctrl-C; with --json a document a line."
)


@dataclass(frozen=True, slots=True)
class View:
    """What there is to see at one time.

    Attributes:
        document: For programs.
        columns: For people, with `rows`; `empty` stands where there are none.
    """

    document: Any
    columns: Columns
    rows: Sequence[Sequence[object]]
    empty: str


async def show(out: Output, look: Callable[[], Awaitable[View]], *, watch: bool) -> None:
    """Write what `look` returns: once, or anew every second until it is interrupted.

    Once something was seen, a database that is away for a while does not end the watching.
    """
    first = await look()
    if not watch:
        _write(out, first)
    elif out.as_json or not sys.stdout.isatty():
        await _write_each(out, first, look)
    else:
        await _paint_each(first, look)


def _write(out: Output, view: View) -> None:
    if out.as_json:
        out.json(view.document)
    else:
        out.table(view.columns, view.rows, empty=view.empty)


async def _write_each(out: Output, first: View, look: Callable[[], Awaitable[View]]) -> None:
    async for seen in _looks(first, look):
        if isinstance(seen, Unavailable):
            click.echo(seen.detail, err=True)
        elif out.as_json:
            out.json_line(seen.document)
        else:
            out.table(seen.columns, seen.rows, empty=seen.empty)
            click.echo()


async def _paint_each(first: View, look: Callable[[], Awaitable[View]]) -> None:
    from rich.console import Group
    from rich.live import Live

    screen = console()
    last = _painted(first, screen.width)
    with Live(last, console=screen, auto_refresh=False) as live:
        async for seen in _looks(first, look):
            if isinstance(seen, Unavailable):
                live.update(Group(last, seen.detail), refresh=True)
            else:
                last = _painted(seen, screen.width)
                live.update(last, refresh=True)


def _painted(view: View, width: int) -> RenderableType:
    return table_of(view.columns, view.rows, width) if view.rows else view.empty


async def _looks(first: View, look: Callable[[], Awaitable[View]]) -> AsyncIterator[View | Unavailable]:
    import asyncio

    yield first
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            seen: View | Unavailable = await look()
        except Unavailable as error:
            seen = error
        yield seen
