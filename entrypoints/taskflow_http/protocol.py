"""uvicorn's HTTP/1.1 with bounds on what a client can make it hold or wait for.

- Head: the request line and the header fields are refused when they are too long, or not whole in time.
- Reading: a connection parses one request ahead, and a little for each turn of the loop, however much a
  client sends. Whatever waits to be parsed, read or answered stops the reading.
- Writing: each piece of a response has to be read in time, and `Bounds` limits what all hold unread.
- `Upgrade` is ignored (RFC 9110 section 7.8), and trailer fields are dropped (RFC 9112 section 7.1.2):
  uvicorn would put them among the header fields, where no proxy has looked at them.
- A client that has closed its half of the connection gets its answers (RFC 9112 section 9.6).

What comes in one piece, as nearly every request does, costs no timer.
"""

from __future__ import annotations

import re
from asyncio import Handle, TimerHandle, Transport
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final

import httptools
import structlog
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from taskflow_core import Overloaded, Unavailable
from taskflow_http.calls import HEADER_BYTES_MAX
from taskflow_http.connections import Bounds
from taskflow_http.errors import (
    ContentTooLarge,
    HeadersTooLarge,
    MalformedRequest,
    NotImplementedHere,
    RequestTimeout,
)
from taskflow_http.problems import problem
from taskflow_http.replies import NO_STORE, PROBLEM_JSON, encode
from taskflow_http.security_fields import NOTHING, security_fields

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

    from taskflow_core import TaskFlowError
    from taskflow_http.limits import Addresses
    from taskflow_http.operations import HttpOptions

log: Final = structlog.get_logger("taskflow_http")

REQUEST_LINE_MAX: Final = 16 * 1024
"""Bytes that a head may have beyond its fields: method, target, separators."""
BODY_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes that a body may have on the wire, with its framing.

The application refuses a long body much earlier; this ends framing that carries little.
"""
LINGER_SECONDS: Final = 2.0
"""How long what a refused client still sends is read and dropped, so that it gets to read why."""
PIECE_MIN: Final = 64
"""Bytes that are parsed at least: three requests have no room in them."""
PIECE_MAX: Final = 4096
TURN_BYTES: Final = 16 * 1024
"""Bytes that one connection may have parsed before others have their turn."""
WRITE_BUFFER: Final = 64 * 1024
"""Bytes of a response that wait for the client before the next piece of it is written."""

_HEAD_END: Final = b"\r\n\r\n"
_request_line: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.[01]\r\n").match


class _Dropped(list[tuple[bytes, bytes]]):
    """The header fields of a request, to which no more are added."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        """Drop a field."""


class _Flow(FlowControl):
    """Reading goes on when the connection can take more; uvicorn asks for that without looking."""

    def __init__(self, transport: Transport, read_on: Callable[[], None]) -> None:
        super().__init__(transport)
        self._read_on = read_on

    def resume_reading(self) -> None:
        """Read on if the connection can take more."""
        if self.read_paused:
            self._read_on()

    def read(self) -> None:
        """Read."""
        super().resume_reading()


class PatientProtocol(HttpToolsProtocol):
    """What `protocol_class` makes classes of; see the module.

    Attributes:
        head_seconds: How long a head may take to arrive, from its first byte on; the first of a connection,
            from the connection's beginning.
        body_seconds: How long what is left of a body may take to arrive once it was answered.
        write_seconds: How long a client may take to read `WRITE_BUFFER`.
        bounds: What it shares with the server's other connections.
        addresses: Makes what stands in the log for a client's address.
    """

    head_seconds: ClassVar[float] = 10.0
    body_seconds: ClassVar[float] = 10.0
    write_seconds: ClassVar[float] = 20.0
    bounds: ClassVar[Bounds]
    addresses: ClassVar[Addresses]

    flow: _Flow
    waiting_since = 0.0

    _running: RequestResponseCycle | None = None
    _in_head = True
    _received = 0
    _framing = 0
    _body_left = 0
    _held = b""
    _held_from = 0
    _turn: Handle | None = None
    _refused = False
    _refusal: TaskFlowError | None = None
    _eof = False
    _timer: TimerHandle | None = None
    _write_timer: TimerHandle | None = None

    # The connection

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        # By default uvloop goes on writing only when its buffer is empty.
        transport.set_write_buffer_limits(WRITE_BUFFER)
        self.flow = _Flow(transport, self._read_on)
        self.waiting_since = self.loop.time()
        others = (each for each in self.connections if each is not self)
        if self.bounds.admit(others, len(self.connections)):  # type: ignore[arg-type]  # all are of this class
            self._wait(self.head_seconds, self._head_is_late)
        else:
            self._refuse(Overloaded("There are too many connections."))

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        self._stop_write_timer()
        self.bounds.leave(self)
        self._held = b""
        if self._running is not None and not self._running.response_complete:
            # uvicorn tells the newest request alone.
            self._running.disconnected = True
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's returns what asyncio.Protocol may
        """Answer what was asked, though the client will send no more; return whether that is to come."""
        self._eof = True
        self._stop_waiting()
        if not self._in_head:
            self._forget_unfinished()
        if self._is_busy():
            return True
        self._close()
        return False

    def shutdown(self) -> None:
        """Answer the requests under way, and no more."""
        super().shutdown()
        self._limit_closing()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection between two requests."""
        self._close()

    @property
    def waits_for_client(self) -> bool:
        """Whether it goes on only if its client sends or reads something, or did not wait to ask.

        Who asks again before an answer is there has to expect to lose that (RFC 9112 section 9.3.2).
        """
        if self.transport.is_closing():
            return False
        return self.flow.write_paused or not self._in_head or not self._is_running()

    @property
    def unread(self) -> int:
        """Bytes of responses that are in memory until the client reads them."""
        unsent = 0 if self._running is None else self._running.expected_content_length
        return unsent + self.transport.get_write_buffer_size()

    def abort(self, reason: str) -> None:
        """End it at once, whatever it has not sent."""
        log.info("connection aborted", reason=reason, address=self._address())
        self.transport.abort()

    # Reading

    def data_received(self, data: bytes) -> None:
        """Take what came: at once where it is one head or part of a body, else piece by piece."""
        self._unset_keepalive_if_required()
        if self._refused or self._eof:
            return
        if len(data) <= PIECE_MAX and data.find(_HEAD_END, 0, -1) < 0:
            self._parse(data)
        else:
            self._held, self._held_from = data, 0
            self._read_on()

    def _read_on(self) -> None:
        """Parse what waits, as far as it may; read again when nothing waits."""
        left = TURN_BYTES
        while self._held and left > 0 and not self._is_full():
            piece = self._next_piece()
            left -= len(piece)
            self._parse(piece)
        if self.transport.is_closing():
            self._held = b""
        elif self._is_full():
            self.flow.pause_reading()
            if self._in_head:
                # It is not the client that keeps the head from arriving.
                self._stop_waiting()
        elif self._held:
            self.flow.pause_reading()
            if self._turn is None:
                self._turn = self.loop.call_soon(self._take_turn)
        else:
            self.flow.read()
            if self._in_head and not self._refused:
                self._check_head()

    def _next_piece(self) -> bytes:
        start = self._held_from
        if self._body_left > 0:
            # No request can begin inside of a body whose length is known.
            self._held_from = start + self._body_left
        else:
            end = self._held.find(_HEAD_END, start + PIECE_MIN, start + PIECE_MAX)
            self._held_from = start + PIECE_MAX if end < 0 else end + len(_HEAD_END)
        piece = self._held[start : self._held_from]
        if self._held_from >= len(self._held):
            self._held = b""
        return piece

    def _take_turn(self) -> None:
        self._turn = None
        self._read_on()

    def _is_full(self) -> bool:
        """Return whether something has to be answered, read or taken first."""
        if self.pipeline or self.flow.write_paused:
            return True
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and len(cycle.body) > HIGH_WATER_LIMIT and not cycle.response_complete

    def _parse(self, data: bytes) -> None:
        self._received += len(data)
        self._framing += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_again(data[upgrade.args[0] :])
        except httptools.HttpParserInvalidMethodError:
            self._refuse(NotImplementedHere() if _request_line(data) else MalformedRequest())
        except httptools.HttpParserError:
            self._refuse(MalformedRequest())
        if self._refused:
            return
        if self._in_head:
            self._check_head()
        elif self._received > BODY_BYTES_MAX or self._framing > HEADER_BYTES_MAX + PIECE_MAX:
            self._refuse(ContentTooLarge())

    def _parse_again(self, rest: bytes) -> None:
        """Parse a head without its `Upgrade`, where the parser has stopped, and what follows it.

        Nothing that follows CONNECT is HTTP (RFC 9110 section 9.3.6).
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(NotImplementedHere())
            return
        lines = [method + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode("ascii")]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._parse(b"\r\n".join(lines) + _HEAD_END)
        if rest and not self._refused:
            self._parse(rest)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._received = max(self._received, 1)

    def on_headers_complete(self) -> None:
        """End the head."""
        if self.parser.should_upgrade():
            # It is parsed again, without.
            return
        if not self.url.startswith(b"/") and httptools.parse_url(self.url).path is None:
            # RFC 9112 section 3.2.1: the target http://host means http://host/.
            self.url = b"/"
        if self.expect_100_continue and self.parser.get_http_version() == "1.0":
            # RFC 9110 section 10.1.1: such a client does not know the answer.
            self.expect_100_continue = False
        self._in_head = False
        self._body_left = int(next((value for name, value in self.headers if name == b"content-length"), 0))
        self._received = self._framing = 0
        self._stop_waiting()
        super().on_headers_complete()
        self.headers = _Dropped(self.headers)
        self.waiting_since = self.loop.time()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._framing = 0
        self._body_left -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; the next head may follow in the same piece."""
        if self._in_head:
            # The parser takes a request with `Upgrade` for one that ends with its head.
            return
        super().on_message_complete()
        self._in_head = True
        self._body_left = 0
        self._received = 0
        self._stop_waiting()
        if self.cycle.response_complete:
            # uvicorn's own timer began with the answer, and ended with what came after it.
            self._wait(self.timeout_keep_alive, self._close)

    def _check_head(self) -> None:
        if self._received > HEADER_BYTES_MAX + REQUEST_LINE_MAX:
            self._refuse(HeadersTooLarge())
        elif self._received and self._timer is None:
            self._wait(self.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        if self._received:
            self._refuse(RequestTimeout("The header fields did not arrive in time."))
        else:
            self._close()

    # Answering

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on to what comes after an answer."""
        self.server_state.total_requests += 1
        self.waiting_since = self.loop.time()
        if self.transport.is_closing():
            self._limit_closing()
        elif not self.flow.write_paused:
            self._go_on()

    def _go_on(self) -> None:
        """Run the next request, or end the connection as was decided, or wait for more."""
        if self.pipeline:
            self.bounds.line_up(self)
            return
        if self._refusal is not None:
            self._send_refusal(self._refusal)
            return
        if self._eof:
            self._close()
            return
        self.flow.resume_reading()
        if self._is_busy() or self._refused:
            return
        if not self._in_head:
            # What is left of the body is read and dropped.
            self._wait(self.body_seconds, self._close)
        elif not self._received and not self._held:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def run_next(self) -> None:
        """Run the next request that was sent before the one before it was answered."""
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            self.flow.resume_reading()
        else:
            self._go_on()

    def pause_writing(self) -> None:
        """Stop reading too: a client that does not read its answers gets no more of them."""
        super().pause_writing()
        self.flow.pause_reading()
        self._limit_writing()
        self.bounds.stall(self, self.loop.time())

    def resume_writing(self) -> None:
        """Go on."""
        self._stop_write_timer()
        self.bounds.proceed(self)
        super().resume_writing()
        if self.transport.is_closing():
            self._limit_closing()
        elif self._is_running():
            self.flow.resume_reading()
        else:
            self._go_on()

    # Ending

    def _refuse(self, error: TaskFlowError) -> None:
        """Answer that a request is not taken, after those before it; end the connection."""
        self._refused = True
        self._held = b""
        self._stop_waiting()
        log.warning("request refused", code=error.code, address=self._address())
        if self.transport.is_closing():
            return
        if not self._in_head and not self._forget_unfinished():
            # It has its answer already.
            self._eof = True
        else:
            self._refusal = error
        if not self._is_busy() and not self.flow.write_paused:
            self._go_on()

    def _forget_unfinished(self) -> bool:
        """Take back the newest request, whose body will not be whole; return whether it has no answer yet."""
        if self.pipeline:
            self.pipeline.popleft()
            return True
        if self.cycle.response_started:
            self.cycle.keep_alive = False
            return False
        # The application may wait for the body.
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        return True

    def _send_refusal(self, error: TaskFlowError) -> None:
        self._refusal = None
        self.transport.write(_refusal(error))
        self.flow.read()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._wait(LINGER_SECONDS, self.transport.abort)
        else:
            self._close()

    def _is_running(self) -> bool:
        """Return whether a request is with the application."""
        cycle = self._running
        return cycle is not None and not cycle.response_complete and not cycle.disconnected

    def _is_busy(self) -> bool:
        """Return whether an answer is to come."""
        return bool(self.pipeline) or self._is_running()

    def _close(self) -> None:
        """Close the connection when what was written is sent, or is not read in time."""
        self.transport.close()
        self._limit_closing()

    def _limit_closing(self) -> None:
        if self.transport.is_closing():
            self._held = b""
            self._limit_writing()

    def _limit_writing(self) -> None:
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.write_seconds, self.abort, "not read in time")

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _address(self) -> str | None:
        """Return the keyed hash of the client's address."""
        peer = None if self.client is None else self.client[0]
        return self.addresses.hash_of(peer, self.headers or ())


def protocol_class(options: HttpOptions, addresses: Addresses) -> type[PatientProtocol]:
    """Return the class for `uvicorn.Config(http=…)`, one for each server.

    Args:
        options: The bounds.
        addresses: Makes what stands in the log for a client's address.
    """
    members = {
        "head_seconds": options.head_timeout,
        "body_seconds": options.body_timeout,
        "write_seconds": options.write_timeout,
        "bounds": Bounds(options.connections_max, options.unread_max),
        "addresses": addresses,
    }
    return type("TaskFlowProtocol", (PatientProtocol,), members)


def _refusal(error: TaskFlowError) -> bytes:
    document = problem(error)
    body = encode(document)
    fields = [
        (b"content-type", PROBLEM_JSON),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", NO_STORE),
        (b"connection", b"close"),
        *security_fields(NOTHING, 0),
    ]
    if isinstance(error, Unavailable):
        fields.append((b"retry-after", b"%d" % max(1, error.retry_after)))
    head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    return STATUS_LINE[document.status] + head + b"\r\n" + body
