"""Tables for people, fitted to the width that there is."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from rich.console import OverflowMethod
    from rich.table import Table


class Fit(Enum):
    """What becomes of a column where there is no room for all of it."""

    WHOLE = auto()
    """It stays: an id that is broken over two lines cannot be copied."""
    FOLD = auto()
    """Its cells go over several lines."""
    CUT = auto()
    """Its cells end in an ellipsis; `show` or `--json` has the rest."""


WHOLE, FOLD, CUT = Fit
Columns: TypeAlias = Mapping[str, Fit]
"""Heads, from left to right."""

_FOLD_LEAST: Final = 10
"""A date, or a time."""
_CUT_LEAST: Final = 16
"""Before a cell is cut shorter than that, others are folded."""


def table_of(columns: Columns, rows: Iterable[Sequence[object]], width: int) -> Table:
    """Return rows as people read them on so many columns of a terminal."""
    from rich.table import Table

    lines = [tuple(columns), *(tuple(cell(value) for value in row) for row in rows)]
    fits = tuple(columns.values())
    (heads, *cells), widths = _fitted(lines, fits, width - len(fits) + 1)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for head, fit, column_width in zip(heads, fits, widths, strict=True):
        overflow: OverflowMethod = "ellipsis" if fit is CUT else "fold"
        table.add_column(head, width=column_width, no_wrap=fit is not FOLD, overflow=overflow)
    for row in cells:
        table.add_row(*row)
    return table


def cell(value: object) -> str:
    """Return a value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(str(value.value if isinstance(value, Enum) else value))


def printable(text: str) -> str:
    """Return text that cannot steer a terminal: what somebody typed may hold its escape sequences."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


_Lines: TypeAlias = Sequence[tuple[str, ...]]


def _fitted(lines: _Lines, fits: Sequence[Fit], room: int) -> tuple[_Lines, list[int]]:
    """Return the lines with what is folded broken, and the width of each column."""
    columns = list(zip(*lines, strict=True))
    widths = [_widest(column) for column in columns]
    whole, fold, cut = ([i for i, fit in enumerate(fits) if fit is wanted] for wanted in Fit)
    room -= sum(widths[i] for i in whole)
    wanted = sum(min(widths[i], _CUT_LEAST) for i in cut)
    for i, width in zip(fold, _shrunk([widths[i] for i in fold], _FOLD_LEAST, room - wanted), strict=True):
        if width < widths[i]:
            columns[i] = tuple(_folded(text, width) for text in columns[i])
            widths[i] = min(width, _widest(columns[i]))
    room -= sum(widths[i] for i in fold)
    for i, width in zip(cut, _shrunk([widths[i] for i in cut], 1, room), strict=True):
        columns[i] = tuple(text.replace("\n", " ") for text in columns[i])
        widths[i] = width
    return list(zip(*columns, strict=True)), widths


def _widest(column: Iterable[str]) -> int:
    from rich.cells import cell_len

    return max(cell_len(line) for text in column for line in text.split("\n"))


def _shrunk(widths: Sequence[int], least: int, room: int) -> list[int]:
    """Take from the widest until they fit, or none has more than `least`."""
    shrunk = list(widths)
    while sum(shrunk) > room and max(shrunk, default=0) > least:
        shrunk[shrunk.index(max(shrunk))] -= 1
    return shrunk


def _folded(text: str, width: int) -> str:
    """Break lines between words; what is longer than a line, where it is punctuated."""
    too_long = rf"\S{{{width + 1},}}"
    parts = re.sub(too_long, lambda word: _broken(word[0], width), text).split("\n")
    return "\n".join(
        line for part in parts for line in textwrap.wrap(part, width, break_on_hyphens=False) or [""]
    )


def _broken(word: str, width: int) -> str:
    lines = [""]
    parted = rf"[^._@/:-]{{0,{width - 1}}}[._@/:-]|[^._@/:-]{{1,{width}}}"
    for piece in re.findall(parted, word):
        if lines[-1] and len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)
