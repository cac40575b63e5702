"""Logs: JSON lines for machines, a readable form for people; each tells the request it belongs to.

What is secret in them is hidden by `redaction`, whoever wrote it. A line that cannot be written, or that
nobody reads, stops nobody's work.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TextIO

import msgspec
import structlog

from taskflow_http.line_writer import LineWriter
from taskflow_http.redaction import may_hide, redact

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import EventDict, Processor, WrappedLogger


class Traced(Protocol):
    """What logs tell of the request that they belong to."""

    request_id: str
    trace_id: str | None


current: Final[ContextVar[Traced | None]] = ContextVar("taskflow_request", default=None)
"""The request that this task works for."""


class _Logger:
    """What structlog hands a rendered line to, whatever its level."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def msg(self, message: str) -> None:
        self._writer.write(message + "\n")

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


class _Handler(logging.Handler):
    """Takes what the standard library logs."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - as the standard library's own handlers do
            self.handleError(record)


def configure_logging(
    format: Literal["json", "console"] = "json",  # noqa: A002 - what one calls it
    level: str = "info",
    stream: TextIO | None = None,
    *,
    quiet: bool = False,
) -> None:
    """Send all logs of this process, those of uvicorn and other libraries too, to one stream.

    They are written by a thread, so that who does not read them stops nobody: see `LineWriter`. What cannot
    be written is dropped, and the next line that can be says how many were (`lost_lines`).
    uvicorn's own access log is turned off: there is one line a request already.

    Args:
        format: `json` for one object a line, `console` for people.
        level: The least that is logged: debug, info, warning, error or critical.
        stream: Where to; standard error unless given.
        quiet: Leave out what goes well by itself, and ids: for people who watch a server of their own.

    Raises:
        ValueError: There is no such level.
    """
    out = stream or sys.stderr
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"There is no log level {level!r}.")
    writer = LineWriter(out)
    shared: list[Processor] = [
        _add_request, structlog.stdlib.add_log_level, partial(_add_lost, writer), _add_time,
    ]  # fmt: skip
    if quiet:
        shared.append(_leave_out)
    # Plain text: what shows the local variables of each frame shows passwords too.
    rendering: list[Processor] = [structlog.processors.format_exc_info]
    rendering += [_render_json] if format == "json" else [redact, _console(out)]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _Logger(writer),
        cache_logger_on_first_use=True,
    )
    _redirect_standard_library(shared, rendering, number, writer)


def use_standard_logging() -> None:
    """Hand TaskFlow's lines to the standard library's loggers, for a host that decides what becomes of them.

    Sets no handler and no level. Does nothing where the host has configured structlog, which gets them then.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            _add_request,
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _redirect_standard_library(
    shared: list[Processor], rendering: list[Processor], level: int, writer: LineWriter
) -> None:
    handler = _Handler(writer)
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[strip, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Others' chatter below warnings helps nobody who did not ask for debugging.
    root.setLevel(level if level <= logging.DEBUG else max(level, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(level)
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False


def _console(out: TextIO) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(),
        timestamp_key="time",
        pad_event_to=0,
        exception_formatter=structlog.dev.plain_traceback,
    )


def _add_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    request = current.get()
    if request is not None:
        event["request_id"] = request.request_id
        if request.trace_id is not None:
            event["trace_id"] = request.trace_id
    return event


def _add_lost(writer: LineWriter, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Tell in this line how many were lost before it."""
    lost = writer.take_lost()
    return {**event, "lost_lines": lost} if lost else event


def _add_time(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    now = datetime.now(UTC)
    return {"time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **event}


_ROUTINE: Final = {"job done", "scheduler ended", "scheduler started", "worker ended", "worker started"}
_IDS: Final = {"notice_id", "pid", "request_id", "trace_id", "user"}


def _leave_out(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if event["level"] == "info" and event.get("event") in _ROUTINE:
        raise structlog.DropEvent
    return {name: value for name, value in event.items() if value is not None and name not in _IDS}


def _render_json(logger: WrappedLogger, name: str, event: MutableMapping[str, Any]) -> str:
    line = _line(event)
    return _line(redact(logger, name, event)) if may_hide(line) else line


def _line(event: MutableMapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=repr).decode("utf-8")
    except (UnicodeEncodeError, TypeError):
        # Lone surrogates, keys that are no text: no line may make trouble of its own.
        return json.dumps(event, default=repr, skipkeys=True)
