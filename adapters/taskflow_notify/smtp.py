"""Notices as mails, handed to a mail server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiosmtplib import SMTPException

from taskflow_notify.connections import SmtpConnections
from taskflow_notify.contents import Unanswered
from taskflow_notify.errors import translated
from taskflow_notify.mails import MailWriter
from taskflow_notify.server import check_sender

if TYPE_CHECKING:
    from taskflow_core.notices import Notice
    from taskflow_notify.server import SmtpServer

OPENING_SECONDS: Final = 5.0
"""Until the server has taken sender and recipient, connecting and signing in included."""
CONTENT_SECONDS: Final = 45.0
"""For the content and the answer to it. A server may look for viruses before it answers, and RFC 5321 section
4.5.3.2.6 gives it 10 minutes: who leaves before sends it again. Both together are less than a try has
(`taskflow_core.ledger.NOTICE_TIME_LIMIT`)."""


class SmtpNotifier:
    """Sends mails (port `Notifier`), text and HTML, whose `Message-ID` is made of the notice's id.

    At least once: where the server took a mail and its answer was lost or late, it is sent again, by the
    same id.

    What a server refuses for good (5xx) is `Undeliverable`; the rest is `Unavailable`, also where it
    refuses for what the operator can mend: user, password, sender, rights (530, 534, 535, 538, 552, 5.7.x),
    or may do so (550, 551, 553, 554 to the recipient, without an enhanced code).

    Args:
        server: Where mails are handed over.
        sender: The address that they are from.
        opening: Seconds until the server has taken sender and recipient.
        content: Seconds after that, for the content and the answer to it.

    Raises:
        ValueError: The sender is no address, or the certificates to be believed cannot be read.
    """

    def __init__(
        self,
        server: SmtpServer,
        sender: str,
        *,
        opening: float = OPENING_SECONDS,
        content: float = CONTENT_SECONDS,
    ) -> None:
        self._write = MailWriter(check_sender(sender))
        domain = sender.rpartition("@")[2]
        self._connections = SmtpConnections(server, domain=domain, opening=opening, content=content)

    async def send(self, notice: Notice) -> None:
        mail = self._write(notice)
        try:
            await self._connections.hand_over(mail)
            return
        except (SMTPException, OSError, Unanswered) as error:
            failure = translated(error)
        # Not raised above: there the error, which names the recipient, would stay with it as its context.
        raise failure

    async def aclose(self) -> None:
        """Close the connections; what is under way ends with its mail."""
        await self._connections.aclose()
