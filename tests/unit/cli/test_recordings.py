"""What the CLI prints at 60, 80 and 120 columns is what was recorded, and looked at."""

import pytest
from rich.cells import cell_len

from support.recordings import DIRECTORY, WIDTHS, printed, recorded


@pytest.mark.parametrize("width", WIDTHS)
def test_the_terminal_shows_what_was_recorded(width: int) -> None:
    """Record it anew where the change is meant: `PYTHONPATH=tests python -m support.recordings`."""
    assert recorded(width) == (DIRECTORY / f"{width}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_left_to_the_terminal_to_break(width: int) -> None:
    # But what was typed, and sentences about errors.
    sentences = ("$ ", "Error: ", "To see what there is")
    lines = [line for line in printed(width) if not line.startswith(sentences)]
    assert [line for line in lines if cell_len(line) > width] == []
