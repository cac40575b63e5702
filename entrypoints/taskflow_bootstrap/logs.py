"""How this process logs."""

from __future__ import annotations

import sys
from typing import Literal

import taskflow_http
from taskflow_bootstrap.settings import Settings


def configure_logs(settings: Settings) -> None:
    """Log as the settings say, from now on."""
    taskflow_http.configure_logging(_format(settings), settings.log_level)


def _format(settings: Settings) -> Literal["json", "console"]:
    if settings.log_format == "auto":
        return "console" if sys.stderr.isatty() else "json"
    return settings.log_format
