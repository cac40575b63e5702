"""Types of arguments that several commands take."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from typing import Any, Final

import click

from taskflow_core import Priority, Role, Status

_DAYS_END: Final = time(23, 59, 59, fold=1)
"""Where clocks are put back at midnight, the last of the two."""


class When(click.ParamType[datetime]):
    """A time by RFC 3339, or a date; without an offset it is this machine's local time.

    A local time that clocks skip or repeat is read as RFC 5545 says (section 3.3.5): by the offset
    before the gap, and as the first of two. Digits beyond microseconds are dropped.
    """

    name = "time"

    def __init__(self, day_at: time) -> None:
        """Take a date as this time of its day."""
        self._day_at = day_at

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time, aware."""
        if isinstance(value, datetime):
            return value
        try:
            parsed = self._parsed(value)
            return parsed if parsed.tzinfo else _of_local(parsed)
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is not a time such as 2030-01-31, or 2030-01-31T17:00:00Z", param, ctx)

    def _parsed(self, text: str) -> datetime:
        try:
            return datetime.combine(date.fromisoformat(text), self._day_at)
        except ValueError:
            # RFC 3339 takes "t" and "z" too, Python does not.
            return datetime.fromisoformat(text.upper())


def _of_local(naive: datetime) -> datetime:
    # `astimezone` moves a time in a gap back instead of forward.
    whole = datetime.fromtimestamp(naive.replace(microsecond=0).timestamp(), UTC)
    return whole.replace(microsecond=naive.microsecond)


WHEN: Final = When(time.min)
DUE: Final = When(_DAYS_END)
STATUS: Final = click.Choice(Status, case_sensitive=False)
PRIORITY: Final = click.Choice(Priority, case_sensitive=False)
ROLE: Final = click.Choice(Role, case_sensitive=False)

owner = click.option("--owner", metavar="EMAIL|ID|any", help="Whose; `any` for everyone's.")
yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
if_version = click.option("--if-version", type=int, metavar="N", help="Only where this is still its version.")


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end what waits for input: asyncio's own handler only takes note of the first one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def at_terminal() -> bool:
    """Return whether somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


@contextmanager
def asking() -> Iterator[None]:
    """Ask somebody something: Ctrl-C ends the command, and the end of the input the block."""
    with interruptible():
        try:
            yield
        except click.Abort as error:
            # It stands for both.
            if not isinstance(error.__context__, EOFError):
                raise KeyboardInterrupt from None
            # The question stands there without an end of its line.
            click.echo(err=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless `yes`; anything but a yes ends the command, and so does the end of the input."""
    if yes:
        return
    confirmed = False
    with asking():
        confirmed = click.confirm(question, err=True)
    if not confirmed:
        raise click.ClickException("Nothing was done. To do it without being asked: --yes")
