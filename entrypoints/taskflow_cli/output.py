"""Tables for people and JSON, in the API's shapes, for programs."""

from __future__ import annotations

import codecs
import contextlib
import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from taskflow_cli.tables import UNSAFE, Columns, cell, printable, table_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_PIPED_WIDTH: Final = 240
"""Columns where the output is no terminal: wide enough that no id is cut."""
_NOT_ASCII: Final = re.compile("[^\x00-\x7e]")


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's result goes.

    Attributes:
        as_json: Whether for programs.
    """

    as_json: bool

    def json(self, value: Any) -> None:
        """Write a value as JSON."""
        click.echo(escaped(msgspec.json.format(msgspec.json.encode(value), indent=2)))

    def json_line(self, value: Any) -> None:
        """Write a value as one line of JSON Lines."""
        click.echo(escaped(msgspec.json.encode(value)))

    def say(self, text: str) -> None:
        """Write a sentence for people; programs are spared it."""
        if not self.as_json:
            click.echo(printable(text))

    def table(self, columns: Columns, rows: Iterable[Sequence[object]], *, empty: str) -> None:
        """Write rows for people, or `empty` where there are none."""
        found = list(rows)
        if not found:
            click.echo(empty)
            return
        target = console()
        target.print(table_of(columns, found, target.width))

    def record(self, value: msgspec.Struct) -> None:
        """Write one thing, field by field."""
        if self.as_json:
            self.json(value)
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, encoded in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            table.add_row(encoded, cell(getattr(value, name)))
        console().print(table)


def escaped(document: bytes) -> str:
    """Return JSON with escapes for what a terminal would obey, and for what standard output cannot say.

    It means the same. A byte above 127 on a terminal of another encoding than UTF-8 may be a control.
    """
    is_utf8 = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
    return (UNSAFE if is_utf8 else _NOT_ASCII).sub(lambda c: json.dumps(c[0])[1:-1], document.decode())


def console(*, to_stderr: bool = False) -> Console:
    """Return a console that obeys NO_COLOR and does not cut what is piped."""
    from rich.console import Console

    stream = sys.stderr if to_stderr else sys.stdout
    target = Console(
        file=stream,
        width=None if stream.isatty() else _PIPED_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )
    if target.is_dumb_terminal or not target.width:
        # Rich takes 80 columns for granted where TERM is "dumb", as in an editor's shell, and prints
        # nothing where COLUMNS is 0, as it is behind terminals that do not know their size.
        target.size = shutil.get_terminal_size()
    return target


@contextlib.contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Progress | None]:
    """Show progress on standard error if that is a terminal; a block that does not raise ends at 100 %.

    What is to appear above the bar is printed by the `console` of what this yields.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    # Redirected, what is for standard output would go to standard error.
    with Progress(console=console(to_stderr=True), redirect_stdout=False, redirect_stderr=False) as progress:
        task = progress.add_task(what, total=total)
        yield progress
        completed = progress.tasks[0].completed or 1
        progress.update(task, total=completed, completed=completed)
