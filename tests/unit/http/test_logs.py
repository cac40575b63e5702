"""How logs look."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import structlog

from support.pipes import fill
from taskflow_http import configure_logging, line_writer
from taskflow_http.logs import current

LOGGERS = ("", "uvicorn", "uvicorn.error", "uvicorn.access")


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """A stream; how logging was set up is put back at the end."""
    before = structlog.get_config()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    states = [(x.handlers[:], x.level, x.propagate) for x in loggers]
    yield io.StringIO()
    structlog.configure(**before)
    for logger, (handlers, level, propagate) in zip(loggers, states, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@dataclass
class Request:
    request_id: str = "req-1"
    trace_id: str | None = "0af7651916cd43dd8448eb211c80319c"


def test_a_line_is_a_json_object(out: io.StringIO) -> None:
    configure_logging("json", "info", out)
    token = current.set(Request())

    structlog.get_logger("test").info("event", some={"id": 1}, odd=object)
    current.reset(token)

    line = json.loads(out.getvalue())
    time = line.pop("time")
    assert time.endswith("Z")
    assert line == {
        "level": "info",
        "event": "event",
        "some": {"id": 1},
        "odd": "<class 'object'>",
        "request_id": "req-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }


def test_nothing_breaks_out_of_its_line(out: io.StringIO) -> None:
    configure_logging("json", "info", out)

    for value in ('x"}\n{"level": "info"\r\n', "\ud800\n", {(1, 2): "\n"}):
        structlog.get_logger("test").info("a\nb", value=value)

    lines = out.getvalue().removesuffix("\n").split("\n")
    assert [json.loads(line)["event"] for line in lines] == ["a\nb"] * 3


class Full(io.StringIO):
    """A stream whose disk is full at times; what it fails at: writing, or flushing."""

    fails_at = ""

    def write(self, text: str) -> int:
        if self.fails_at == "write":
            raise OSError(28, "No space left on device")
        return super().write(text)

    def flush(self) -> None:
        if self.fails_at == "flush":
            raise BrokenPipeError


@pytest.mark.usefixtures("out")
@pytest.mark.parametrize("fails_at", ["write", "flush"])
def test_what_cannot_be_written_stops_nobody_and_is_counted(
    fails_at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    full = Full()
    configure_logging("json", "info", full)
    log = structlog.get_logger("test")
    full.fails_at = fails_at
    log.info("lost")
    log.error("lost", exc_info=LookupError())
    logging.getLogger("uvicorn.error").warning("lost")
    full.fails_at = ""
    full.truncate(0)
    full.seek(0)
    log.info("seen")
    log.info("seen")

    lines = [json.loads(line) for line in full.getvalue().splitlines()]
    assert [(line["event"], line.get("lost_lines")) for line in lines] == [("seen", 3), ("seen", None)]
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("out")
@pytest.mark.parametrize(("limit", "most"), [("MAX_LINES", 20), ("MAX_BYTES", 4000)])
def test_of_what_nobody_reads_so_much_is_kept_and_the_rest_is_counted(
    limit: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_writer, limit, most)
    readable, writable = os.pipe()
    size = fill(writable)
    with os.fdopen(readable), os.fdopen(writable, "w") as full:
        configure_logging("json", "info", full)
        log = structlog.get_logger("test")
        for number in range(50):
            log.info("kept", number=number, long="x" * 200)
        logging.getLogger("library").warning("lost")
        while size:
            size -= len(os.read(readable, size))
        line_writer.flush_lines(60)
        log.info("seen")
        log.info("seen")
        line_writer.flush_lines(60)
        lines = [json.loads(line) for line in os.read(readable, 65536).splitlines()]

    *kept, first, second = lines
    assert [line["number"] for line in kept] == list(range(len(kept)))
    assert 5 < len(kept) <= 20
    assert (first["lost_lines"], "lost_lines" in second) == (51 - len(kept), False)


@pytest.mark.usefixtures("out")
def test_a_stream_that_was_closed_stops_nobody() -> None:
    closed = io.StringIO()
    configure_logging("json", "info", closed)
    closed.close()
    structlog.get_logger("test").error("lost")


def test_levels_filter(out: io.StringIO) -> None:
    configure_logging("json", "warning", out)

    structlog.get_logger("test").info("quiet")
    logging.getLogger("uvicorn.error").info("quiet")
    structlog.get_logger("test").warning("loud")

    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["loud"]


def test_an_unknown_level_is_refused(out: io.StringIO) -> None:
    with pytest.raises(ValueError, match="verbose"):
        configure_logging("json", "verbose", out)


def test_others_logs_go_the_same_way(out: io.StringIO) -> None:
    configure_logging("json", "info", out)

    logging.getLogger("uvicorn.error").info("Started %s", "server")
    logging.getLogger("uvicorn.access").info("GET /tasks?search=secret")
    logging.getLogger("sqlalchemy").info("chatter")
    logging.getLogger("sqlalchemy").warning("worth it")

    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["Started server", "worth it"]
    assert lines[0]["logger"] == "uvicorn.error"


def fails(password: str) -> None:  # noqa: ARG001 - a variable of the frame
    raise RuntimeError("broken")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_stack_shows_no_variables(out: io.StringIO, form: str) -> None:
    configure_logging(form, "info", out)  # type: ignore[arg-type]
    password = "hun" + "ter2"[:4]
    try:
        fails(password)
    except RuntimeError:
        structlog.get_logger("test").exception("event")

    assert "RuntimeError: broken" in out.getvalue()
    assert password not in out.getvalue()


def test_people_get_text(out: io.StringIO) -> None:
    configure_logging("console", "info", out)

    structlog.get_logger("test").info("event", answer=42)

    assert "answer=42" in out.getvalue()
    assert "\x1b" not in out.getvalue()
