"""What people see of the CLI: its commands on a real terminal of some width, over a TaskFlow in memory.

`PYTHONPATH=tests python -m support.recordings` records them anew in tests/recordings/.
"""

import fcntl
import functools
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import click
from rich.cells import chop_cells

from support.memory_cli import fixed_id, open_fixed

DIRECTORY = Path(__file__).parents[1] / "recordings"
WIDTHS = (60, 80, 120)
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("tasks", "list"),
    ("tasks", "list", "--owner", "ada@example.com"),
    ("tasks", "show", str(fixed_id(3))),
    ("tasks", "history", str(fixed_id(3))),
    ("tasks", "stats"),
    ("users", "list"),
    ("sessions", "list", "ada@example.com"),
    ("auth", "events"),
    ("auth", "explain", "grace.brewster.murray@navy.example.com", "delete", str(fixed_id(3))),
    ("jobs", "list"),
    ("jobs", "stats"),
    ("tasks", "import", "tasks.jsonl", "--owner", "ada@example.com"),
    ("tasks", "show", str(fixed_id(999))),
    ("tasks", "create", "\x9b31m", "--status", "done"),
    ("tasks", "create", " ", "--owner", "ada@example.com", "--due", "1800-01-01"),
)
IMPORTED = "".join(
    f'{{"title": "Task {n}"}}\n' if n % 100 else f'{{"title": "", "colour": "red {n}", "dueDate": "soon"}}\n'
    for n in range(1, 302)
)

_CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([\r\n])")


def recorded(width: int) -> str:
    """Return what a terminal of so many columns shows when the commands have run on it."""
    lines = (part for line in printed(width) for part in chop_cells(line, width) or [""])
    return "\n".join(line.rstrip() for line in lines).rstrip("\n") + "\n"


@functools.cache
def printed(width: int) -> list[str]:
    """Run the commands on a terminal of so many columns, and return the lines that they print."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(
            [sys.executable, "-m", "support.recordings", "run"],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=directory,
            env={**kept, "PYTHONPATH": str(Path(__file__).parents[1]), "TZ": "UTC", "TERM": "xterm"},
        )  # fmt: skip
        os.close(theirs)
        output = _read_all(ours)
        assert process.wait(timeout=60) == 0, output
    return screen(output)


def _read_all(descriptor: int) -> str:
    output = b""
    while True:
        try:
            output += (read := os.read(descriptor, 65_536))
        except OSError:  # So Linux says that the other side is closed.
            read = b""
        if not read:
            os.close(descriptor)
            return output.decode()


def screen(output: str) -> list[str]:
    """Return the lines that a terminal of endless width shows in the end.

    It knows what progress bars use: to go up, to the line's start, and to erase the line.
    """
    lines, row, place = [""], 0, 0
    for control in _CONTROL.finditer(output + "\n"):
        lines[row] += output[place : control.start()]
        place = control.end()
        number, letter, end = control.groups()
        if end == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif letter == "A":
            row -= int(number or 1)
        elif letter == "K":
            lines[row] = ""
    return lines


def _run_all() -> None:
    from taskflow_cli import streams
    from taskflow_cli.app import cli

    streams.prepare()
    Path("tasks.jsonl").write_text(IMPORTED, encoding="utf-8")
    for command in COMMANDS:
        shown = " ".join(word if word.isprintable() and " " not in word else repr(word) for word in command)
        click.echo(f"$ taskflow {shown}")
        try:
            cli(command, prog_name="taskflow", obj=open_fixed)
        except SystemExit as ended:
            click.echo(f"[{ended.code}]\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["run"]:
        _run_all()
    else:
        for width in WIDTHS:
            (DIRECTORY / f"{width}.txt").write_text(recorded(width), encoding="utf-8")
