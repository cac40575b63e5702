"""Tables for people, fitted to the width of the terminal.

Widths are display cells: an ideograph takes two, a combining mark none, and an emoji that is joined of
several takes two.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from rich.text import Text


class Fit(Enum):
    """How a column is fitted where there is not enough room."""

    WHOLE = auto()
    """Its cells stay on one line, and whole."""
    FOLD = auto()
    """Its cells go over several lines."""
    CUT = auto()
    """Its cells end in an ellipsis; `show` or `--json` has the rest."""
    BELOW = auto()
    """It goes to a second line below the others. For ids: one that is cut or broken cannot be copied."""


WHOLE, FOLD, CUT, BELOW = Fit
Columns: TypeAlias = Mapping[str, Fit]
"""Heads, from left to right."""

_ROOMY: Final = 24
"""Before a column gets less than that, those that may go to a second line do."""
_FOLD_LEAST: Final = 10
"""A date, or a time."""
_CUT_LEAST: Final = 16
"""Before a cell is cut shorter than that, others are folded."""
_INDENT: Final = "  "

UNSAFE: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f"  # Controls but the line feed.
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # They change the direction of text.
    "\u2028\u2029\ufff9-\ufffb"  # Separators of lines and paragraphs, annotations.
    "\ud800-\udfff\U000e0000-\U000e007f]"  # Surrogates; tags, which nobody sees.
)
"""Characters that steer a terminal, reorder what it shows, or hide text in it.

Joiners (U+200C, U+200D) are none of them: without these, Persian words and families of emoji fall apart.
"""
_FLAG_OR_UNSAFE: Final = re.compile(
    f"(\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{3,6}}\U000e007f)|{UNSAFE.pattern}"
)
"""The flags of England and others are spelt with tags (UTS #51); tags elsewhere hide text."""

_Row: TypeAlias = tuple[str, ...]


def table_of(columns: Columns, rows: Iterable[Sequence[object]], width: int) -> Text:
    """Return rows as people read them on so many columns of a terminal."""
    from rich.text import Text

    lines = [tuple(columns), *(tuple(cell(value) for value in row) for row in rows)]
    heads, *items = ["\n".join(block) for block in _blocks(lines, tuple(columns.values()), width)]
    text = Text("\n".join([heads, *items]), no_wrap=True, overflow="ignore")
    text.stylize("bold", 0, len(heads))
    return text


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
    """Return text that cannot steer a terminal, of characters that standard output can encode.

    What somebody typed may hold escape sequences. In a terminal of another encoding than UTF-8, bytes of
    UTF-8 are some too.
    """
    safe = _FLAG_OR_UNSAFE.sub(lambda found: found[1] or "\N{REPLACEMENT CHARACTER}", text)
    encoding = sys.stdout.encoding or "utf-8"
    return safe.encode(encoding, "replace").decode(encoding)


def wrapped(text: str, width: int) -> str:
    """Break lines between words; what is longer than a line, where it is punctuated."""
    return "\n".join(line for part in text.split("\n") for line in _wrapped(part, width))


def _blocks(lines: Sequence[_Row], fits: Sequence[Fit], width: int) -> list[list[str]]:
    """Return what each row looks like: a line, or several."""
    below = [i for i, fit in enumerate(fits) if fit is BELOW]
    if not below or _is_roomy(lines, fits, width):
        return _painted(lines, [WHOLE if fit is BELOW else fit for fit in fits], width)
    beside = [i for i, fit in enumerate(fits) if fit is not BELOW]
    upper = _painted(_chosen(lines, beside), [fits[i] for i in beside], width)
    ids_then_rest = [WHOLE, *[CUT] * (len(below) - 1)]
    lower = _painted(_chosen(lines, below), ids_then_rest, width - len(_INDENT))
    return [[*above, *(_INDENT + line for line in under)] for above, under in zip(upper, lower, strict=True)]


def _chosen(lines: Sequence[_Row], columns: Sequence[int]) -> list[_Row]:
    return [tuple(line[i] for i in columns) for line in lines]


def _is_roomy(lines: Sequence[_Row], fits: Sequence[Fit], width: int) -> bool:
    natural = map(_widest, zip(*lines, strict=True))
    wanted = (min(w, _ROOMY) if fit in (FOLD, CUT) else w for w, fit in zip(natural, fits, strict=True))
    return sum(wanted) + len(fits) - 1 <= width


def _painted(lines: Sequence[_Row], fits: Sequence[Fit], width: int) -> list[list[str]]:
    from rich.cells import set_cell_size

    fitted, widths = _fitted(lines, fits, width - len(fits) + 1)
    blocks = []
    for row in fitted:
        cells = [text.split("\n") for text in row]
        height = max(map(len, cells))
        columns = [
            [set_cell_size(_cut(line, w), w) for line in [*parts, *[""] * (height - len(parts))]]
            for parts, w in zip(cells, widths, strict=True)
        ]
        blocks.append([_cut(" ".join(parts).rstrip(), width) for parts in zip(*columns, strict=True)])
    return blocks


def _fitted(lines: Sequence[_Row], fits: Sequence[Fit], room: int) -> tuple[Sequence[_Row], list[int]]:
    """Return the lines with what is folded broken, and the width of each column."""
    columns = list(zip(*lines, strict=True))
    widths = [_widest(column) for column in columns]
    whole, fold, cut = ([i for i, fit in enumerate(fits) if fit is wanted] for wanted in (WHOLE, FOLD, CUT))
    room -= sum(widths[i] for i in whole)
    wanted = sum(min(widths[i], _CUT_LEAST) for i in cut)
    for i, width in zip(fold, _shrunk([widths[i] for i in fold], _FOLD_LEAST, room - wanted), strict=True):
        if width < widths[i]:
            columns[i] = tuple(wrapped(text, width) for text in columns[i])
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


def _cut(line: str, width: int) -> str:
    from rich.cells import cell_len, set_cell_size

    return line if cell_len(line) <= width else set_cell_size(line, width - 1).rstrip() + "…"


def _wrapped(text: str, width: int) -> list[str]:
    from rich.cells import cell_len

    lines = [""]
    for word in text.split():
        joint = " " if lines[-1] else ""
        for piece in [word] if cell_len(word) <= width else _pieces(word, width):
            if lines[-1] and cell_len(lines[-1] + joint + piece) > width:
                lines.append("")
                joint = ""
            lines[-1] += joint + piece
            joint = ""
    return lines


def _pieces(word: str, width: int) -> list[str]:
    from rich.cells import chop_cells

    parts = re.findall(r"[^._@/:-]*[._@/:-]|[^._@/:-]+", word)
    return [piece for part in parts for piece in chop_cells(part, width)]
