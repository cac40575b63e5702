"""The HTTP application over the container."""

from __future__ import annotations

import hmac
import sys
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import taskflow_http
from taskflow_bootstrap.container import Container, close
from taskflow_bootstrap.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_CURSORS: Final = b"taskflow cursors"


def create_application(container: Container) -> ASGIApp:
    """Return the API; its lifespan closes what the container opened. Logs are set up for this process.

    Raises:
        SettingsError: An address or the secret is not given.
    """
    settings: Settings = container.settings()
    settings.require("database_url", "redis_url", "jwt_secret")
    taskflow_http.configure_logging(_log_format(settings), settings.log_level)
    return taskflow_http.create_app(
        use_cases=container.use_cases(),
        tokens=container.tokens(),
        clock=container.clock(),
        cursor_key=hmac.digest(settings.jwt_secret[0].encode(), _CURSORS, "sha256"),
        checks=container.checks(),
        options=taskflow_http.HttpOptions(request_timeout=settings.request_timeout),
        on_shutdown=[partial(close, container)],
    )


def _log_format(settings: Settings) -> Literal["json", "console"]:
    if settings.log_format == "auto":
        return "console" if sys.stderr.isatty() else "json"
    return settings.log_format
