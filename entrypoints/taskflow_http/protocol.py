"""uvicorn's HTTP/1.1 with an end to its patience.

uvicorn takes megabytes of header fields and waits for them forever. Here a head (the request line and the
header fields) that is too long, or not whole in time, is refused before it is parsed to its end, and a
connection that says nothing is closed. What comes in one piece, as nearly every request does, costs no timer.

Trailer fields (RFC 9112 section 7.1.2) are dropped: uvicorn would put them among the header fields, where no
proxy has looked at them.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from taskflow_http.calls import HEADER_BYTES_MAX
from taskflow_http.errors import ContentTooLarge, HeadersTooLarge, MalformedRequest, RequestTimeout
from taskflow_http.problems import problem
from taskflow_http.replies import NO_STORE, PROBLEM_JSON, encode
from taskflow_http.security_fields import NOTHING, security_fields

if TYPE_CHECKING:
    from taskflow_core import TaskFlowError
    from taskflow_http.operations import HttpOptions

log: Final = structlog.get_logger("taskflow_http")

REQUEST_LINE_MAX: Final = 16 * 1024
"""Bytes that a head may have beyond its fields: method, target, separators."""
BODY_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes that a body may have on the wire, with its framing, until the application has answered.

The application refuses a long body much earlier; this ends framing that carries nothing.
"""
LINGER_SECONDS: Final = 2.0
"""How long what a refused client still sends is read and dropped, so that it gets to read why."""


class _Dropped(list[tuple[bytes, bytes]]):
    """The header fields of a request, to which no more are added."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        """Drop a field."""


class PatientProtocol(HttpToolsProtocol):
    """What `protocol_class` makes classes of; see the module.

    Attributes:
        head_seconds: How long a head may take to arrive, from its first byte on; the first of a connection,
            from the connection's beginning.
        body_seconds: How long what is left of a body may take to arrive once it was answered.
    """

    head_seconds: ClassVar[float] = 10.0
    body_seconds: ClassVar[float] = 10.0

    _in_head = True
    _received = 0
    _refused = False
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait(self.head_seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is too much."""
        if self._refused:
            return
        self._received += len(data)
        super().data_received(data)
        if self._in_head:
            self._check_head()
        elif self._received > BODY_BYTES_MAX and not self.cycle.response_complete:
            self._refuse(ContentTooLarge())

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._received = max(self._received, 1)

    def on_headers_complete(self) -> None:
        """End the head."""
        self._in_head = False
        self._received = 0
        self._stop_waiting()
        super().on_headers_complete()
        self.headers = _Dropped(self.headers)

    def on_message_complete(self) -> None:
        """End the request; the next head may follow in the same piece."""
        super().on_message_complete()
        self._in_head = True
        self._received = 0
        self._stop_waiting()
        if self.cycle.response_complete:
            # uvicorn's own timer began with the answer, and ended with what came after it.
            self._wait(self.timeout_keep_alive, self.transport.close)

    def on_response_complete(self) -> None:
        """Give what is left of an answered request's body some time; it is read and dropped."""
        super().on_response_complete()
        if not self._in_head and self.cycle.response_complete:
            self._wait(self.body_seconds, self.transport.close)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it is uvicorn's
        """Refuse what is not HTTP."""
        self._refuse(MalformedRequest())

    def _check_head(self) -> None:
        if self._received > HEADER_BYTES_MAX + REQUEST_LINE_MAX:
            self._refuse(HeadersTooLarge())
        elif self._received and self._timer is None:
            self._wait(self.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        if self._received:
            self._refuse(RequestTimeout("The header fields did not arrive in time."))
        else:
            self.transport.close()

    def _refuse(self, error: TaskFlowError) -> None:
        """Answer that a request is not taken, unless an earlier one is being answered; end the connection."""
        self._refused = True
        self._stop_waiting()
        log.warning("request refused", code=error.code)
        if self.transport.is_closing():
            return
        if self._is_busy():
            self.cycle.keep_alive = False
            return
        self._abandon()
        self.transport.write(_refusal(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._wait(LINGER_SECONDS, self.transport.abort)
        else:
            self.transport.close()

    def _is_busy(self) -> bool:
        """Return whether an answer is under way that another would run into."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        return self._in_head or cycle.response_started

    def _abandon(self) -> None:
        """Tell the application, where it waits for the rest of a body, that there is none."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def protocol_class(options: HttpOptions) -> type[PatientProtocol]:
    """Return the class for `uvicorn.Config(http=…)`."""
    members = {"head_seconds": options.head_timeout, "body_seconds": options.body_timeout}
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
    head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    return STATUS_LINE[document.status] + head + b"\r\n" + body
