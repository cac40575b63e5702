"""A mail server in the test's own loop, with STARTTLS, sign-in, and replies to order, when told."""

import asyncio
import email
import email.policy
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

CERTIFICATE = Path(__file__).parent / "certificates" / "mail.pem"
KEY = CERTIFICATE.with_suffix(".key")
USER = "me@example.com"
PASSWORD = "p@ss/word:é%"
IN_URL = "me%40example.com:p%40ss%2Fword%3A%C3%A9%25"


@dataclass
class MailServer:
    """What it got, and how it is to answer.

    Attributes:
        replies: By command (EHLO, MAIL, RCPT, DATA; CONTENT for what DATA brings), each used
            once, the first first.
        opening: Whether MAIL is answered already; it waits for that.
        answering: Whether the answer to a content is sent already; it waits for that.
        goodbye: Whether the connection ends instead of that answer.
        held_up: How many wait for the answer to MAIL.
    """

    tls: Literal["starttls", "tls", "none"] = "none"
    auth: bool = False
    utf8: bool = True
    replies: dict[str, list[str]] = field(default_factory=dict)
    opening: asyncio.Event = field(default_factory=asyncio.Event)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    goodbye: bool = False
    envelopes: list[Envelope] = field(default_factory=list)
    connections: int = 0
    held_up: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _open: list[SMTP] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.opening.set()
        self.answering.set()

    def mails(self) -> list[EmailMessage]:
        """What it got; no property, since the server reads all of its handler's for each connection."""
        return [parsed(envelope.content) for envelope in self.envelopes]

    async def start(self) -> None:
        """Listen; on the same port as before, where it listened before."""
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol, "127.0.0.1", self.port, ssl=_context() if self.tls == "tls" else None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End all connections and do not listen any more."""
        assert self._server is not None
        self._server.close()
        await self.disconnect()
        await self._server.wait_closed()

    async def disconnect(self) -> None:
        for smtp in self._open:
            _abort(smtp)
        self._open.clear()
        # Whose end is near is told of it in the loop's next round.
        await asyncio.sleep(0.02)

    @property
    def open(self) -> int:
        return sum(smtp.transport is not None for smtp in self._open)

    def _protocol(self) -> SMTP:
        self.connections += 1
        smtp = _Smtp(
            self,
            hostname="mail.test",
            enable_SMTPUTF8=self.utf8,
            tls_context=_context() if self.tls == "starttls" else None,
            require_starttls=self.tls == "starttls",
            authenticator=_signed_in if self.auth else None,
            auth_require_tls=self.tls != "tls",  # which it does not see
            auth_required=self.auth and self.tls == "starttls",
            loop=asyncio.get_running_loop(),
        )
        self._open.append(smtp)
        return smtp

    def reply(self, command: str) -> str | None:
        ordered = self.replies.get(command)
        return ordered.pop(0) if ordered else None

    async def handle_MAIL(  # noqa: N802 - the names of hooks
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.held_up += 1
        try:
            await self.opening.wait()
        finally:
            self.held_up -= 1
        reply = self.reply("MAIL")
        if reply is None:
            envelope.mail_from, envelope.mail_options = address, options
        return reply or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        reply = self.reply("RCPT")
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 OK"

    async def handle_DATA(self, smtp: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        reply = self.reply("CONTENT")
        if reply is None:
            self.envelopes.append(envelope)
        await self.answering.wait()
        if self.goodbye:
            _abort(smtp)
        return reply or "250 OK"


class _Smtp(SMTP):
    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        assert isinstance(self.event_handler, MailServer)
        reply = self.event_handler.reply("EHLO")
        await (super().smtp_EHLO(hostname) if reply is None else self.push(reply))

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        assert isinstance(self.event_handler, MailServer)
        reply = self.event_handler.reply("DATA")
        await (super().smtp_DATA(arg) if reply is None else self.push(reply))


def _abort(smtp: SMTP) -> None:
    if isinstance(smtp.transport, asyncio.WriteTransport):
        smtp.transport.abort()


def parsed(content: Any) -> EmailMessage:
    assert isinstance(content, bytes)
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


def _signed_in(_: SMTP, __: Session, ___: Envelope, ____: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    good = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
    return AuthResult(success=good, handled=False)
