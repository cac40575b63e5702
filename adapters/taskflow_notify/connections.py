"""Connections to one mail server: one for each mail under way, some kept for the next for a short while."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final

from aiosmtplib import SMTP, SMTPHeloError, SMTPResponseException, SMTPServerDisconnected

from taskflow_core.errors import Unavailable
from taskflow_notify.contents import hand_over
from taskflow_notify.server import Security

if TYPE_CHECKING:
    from taskflow_notify.mails import Mail
    from taskflow_notify.server import SmtpServer

IDLE_SECONDS: Final = 20.0
"""How long a connection waits for another mail. Servers close theirs after a minute or more, and one that
was cut off in between would cost the next mail its deadline."""
IDLE_MOST: Final = 4
"""How many wait at a time: as many as a worker has jobs at a time unless it is told otherwise."""
GOODBYE_SECONDS: Final = 1.0
_UNKNOWN_COMMAND: Final = frozenset({500, 502})
"""To EHLO, from a server that knows HELO only (RFC 5321 section 2.2.1)."""
_CLOSING: Final = 421
"""Such as after a number of mails (RFC 5321 section 3.8)."""


class SmtpConnections:
    """Hands mails over, each on a connection of its own for that time.

    Nobody waits for a connection: there are as many as there are mails under way.

    Args:
        server: Whose connections.
        domain: By which one introduces oneself (EHLO): that of the sender, as the machine's own name
            may be none, and takes a question to DNS.
        opening: Seconds until the server has taken sender and recipient, connecting and signing in included.
        content: Seconds after that, for the content and the answer to it.

    Raises:
        ValueError: The certificates to be believed cannot be read.
    """

    def __init__(self, server: SmtpServer, *, domain: str, opening: float, content: float) -> None:
        self._server = server
        self._domain = domain
        self._opening_seconds = opening
        self._content_seconds = content
        self._idle: list[tuple[SMTP, asyncio.TimerHandle]] = []
        self._closed = False
        self._context = None if server.security is Security.NONE else _context(server.ca)

    async def hand_over(self, mail: Mail) -> None:
        """Return once the server has taken the mail.

        A connection that waited and was closed by the server meanwhile is replaced by another, once, and
        before any content is sent: content that was sent may have been taken.

        Raises:
            aiosmtplib.SMTPException, OSError: It did not.
            Unanswered: Nobody knows.
            Unavailable: It cannot be used as it is to be.
            Undeliverable: It takes no mail like this.
        """
        async with asyncio.timeout(self._opening_seconds):
            smtp = await self._opened(mail)
        try:
            await hand_over(smtp, mail.content, seconds=self._content_seconds)
        except BaseException:
            _drop(smtp)
            raise
        self._keep(smtp)

    async def aclose(self) -> None:
        """Say goodbye to the server on all connections that wait; those in use end with their mail."""
        self._closed = True
        while (smtp := self._take()) is not None:
            try:
                await smtp.quit(timeout=GOODBYE_SECONDS)
            except (SMTPResponseException, OSError):
                # Gone already, or does not answer: then without a goodbye.
                continue
            finally:
                _drop(smtp)
        # What was dropped is closed in the loop's next round.
        await asyncio.sleep(0)

    async def _opened(self, mail: Mail) -> SMTP:
        """Return a connection on which the content is what comes next."""
        kept = self._take()
        if kept is not None and await self._still_open(kept, mail):
            return kept
        smtp = await self._connect()
        await self._open(smtp, mail)
        return smtp

    async def _still_open(self, kept: SMTP, mail: Mail) -> bool:
        """Return False where the server has ended the connection, or ends it now."""
        try:
            await self._open(kept, mail)
        except SMTPServerDisconnected:
            return False
        except SMTPResponseException as error:
            if error.code != _CLOSING:
                raise
            return False
        return True

    async def _open(self, smtp: SMTP, mail: Mail) -> None:
        """Tell sender and recipient."""
        try:
            mail.require_taken_by(smtp)
            encoding = "utf-8" if mail.utf8 else "ascii"
            await smtp.mail(mail.sender, options=_options(smtp, mail), encoding=encoding)
            await smtp.rcpt(mail.recipient, encoding=encoding)
        except BaseException:
            # Where it stands in its conversation is not known any more, or is not worth to find out.
            _drop(smtp)
            raise

    async def _connect(self) -> SMTP:
        server = self._server
        smtp = SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=self._domain,
            timeout=None,  # no step has one of its own
            use_tls=server.security is Security.TLS,
            start_tls=False,
            tls_context=self._context,
        )
        await smtp.connect()
        try:
            await self._introduce(smtp)
        except BaseException:
            _drop(smtp)
            raise
        return smtp

    async def _introduce(self, smtp: SMTP) -> None:
        try:
            await smtp.ehlo()
        except SMTPHeloError as error:
            if error.code not in _UNKNOWN_COMMAND:
                raise
            await smtp.helo()
        if self._server.security is Security.STARTTLS:
            if not smtp.supports_extension("starttls"):
                raise Unavailable("The mail server offers no encryption (STARTTLS).")
            await smtp.starttls()
            await smtp.ehlo()
        if self._server.username is not None and self._server.password is not None:
            if not smtp.supported_auth_methods:
                raise Unavailable("The mail server offers no way to sign in that is known.")
            await smtp.login(self._server.username, self._server.password)

    def _take(self) -> SMTP | None:
        """Return the one used last of those that wait and are not known to be closed."""
        while self._idle:
            smtp, timer = self._idle.pop()
            timer.cancel()
            if smtp.is_connected:
                return smtp
        return None

    def _keep(self, smtp: SMTP) -> None:
        if self._closed or len(self._idle) >= IDLE_MOST:
            _drop(smtp)
            return
        timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._expire, smtp)
        self._idle.append((smtp, timer))

    def _expire(self, smtp: SMTP) -> None:
        self._idle = [(kept, timer) for kept, timer in self._idle if kept is not smtp]
        _drop(smtp)


def _options(smtp: SMTP, mail: Mail) -> list[str]:
    """Return what goes with the sender: the size (RFC 1870), and that addresses are UTF-8 (RFC 6531)."""
    size = [f"SIZE={len(mail.content)}"] if smtp.supports_extension("size") else []
    return [*size, "SMTPUTF8"] if mail.utf8 else size


def _drop(smtp: SMTP) -> None:
    """Close a connection at once: nothing that is still to be sent matters."""
    transport = smtp.transport
    smtp.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def _context(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError:
        raise ValueError("must name a file of certificates (ca) that can be read") from None
