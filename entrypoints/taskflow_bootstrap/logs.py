"""How this process logs, and says what is no log."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Literal, TextIO

import taskflow_http
from taskflow_bootstrap.settings import Settings
from taskflow_http.line_writer import LineWriter


def configure_logs(settings: Settings) -> None:
    """Log as the settings say, from now on."""
    taskflow_http.configure_logging(_format(settings), settings.log_level)


def configure_dev_logs(settings: Settings) -> None:
    """Log for people who watch `taskflow dev`, unless the settings name a format or the level debug."""
    if settings.log_format == "auto":
        taskflow_http.configure_logging("console", settings.log_level, quiet=settings.log_level != "debug")
    else:
        configure_logs(settings)


def _format(settings: Settings) -> Literal["json", "console"]:
    if settings.log_format == "auto":
        return "console" if sys.stderr.isatty() else "json"
    return settings.log_format


def saying(stream: TextIO | None) -> Callable[[str], None]:
    """Return what writes a sentence to a stream, and waits for nobody who reads it; None is closed."""
    if stream is None:
        return lambda _: None
    writer = LineWriter(stream)
    return lambda sentence: writer.write(sentence + "\n")
