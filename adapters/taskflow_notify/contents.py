"""The content of a mail, and what is known of it where no answer comes.

aiosmtplib's own `data` does not tell whether the content was sent before it failed.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from aiosmtplib import SMTPDataError, SMTPException, SMTPServerDisconnected, SMTPStatus

if TYPE_CHECKING:
    from aiosmtplib import SMTP, SMTPResponse
    from aiosmtplib.protocol import SMTPProtocol

_dots: Final = re.compile(rb"^\.", re.MULTILINE)


class Unanswered(Exception):
    """The content was sent whole, and no answer came that says whether the server has it.

    It may have: an answer that is lost or late says nothing of the mail (RFC 1047).
    """


async def hand_over(smtp: SMTP, content: bytes, *, seconds: float) -> None:
    """Return once the server has taken the content; sender and recipient it knows.

    Args:
        smtp: Its connection, of no use any more where this fails.
        content: Header and body, in lines that end with CRLF.
        seconds: For all of this.

    Raises:
        aiosmtplib.SMTPException, OSError: It did not take it.
        Unanswered: Nobody knows.
    """
    until = asyncio.get_running_loop().time() + seconds
    async with asyncio.timeout_at(until):
        _require(await smtp.execute_command(b"DATA"), SMTPStatus.start_input)
    protocol = _send(smtp, content)
    try:
        async with asyncio.timeout_at(until):
            answer = await protocol.read_response()
    except (SMTPException, OSError) as error:
        raise Unanswered from error
    _require(answer, SMTPStatus.completed)


def _send(smtp: SMTP, content: bytes) -> SMTPProtocol:
    protocol = smtp.protocol
    if protocol is None:
        raise SMTPServerDisconnected("Connection lost")
    # A line that is a dot ends the content (RFC 5321 section 4.5.2).
    protocol.write(_dots.sub(b"..", content) + b".\r\n")
    return protocol


def _require(answer: SMTPResponse, status: SMTPStatus) -> None:
    if answer.code != status:
        raise SMTPDataError(answer.code, answer.message)
