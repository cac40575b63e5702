"""What goes wrong with a mail server, in the core's words: no host, user, address or answer of it in them."""

from __future__ import annotations

import re
import ssl
from typing import Final

import aiosmtplib

from taskflow_core.errors import TaskFlowError, Unavailable, Undeliverable
from taskflow_notify.contents import Unanswered

_PERMANENT: Final = 5
_OURS_TO_MEND: Final = frozenset({530, 534, 535, 538, 552})
"""Refusals (RFC 4954 section 6, RFC 5321 section 4.2.3) that another try may not meet: the operator mends the
settings, or somebody empties a mailbox."""
_POLICY: Final = re.compile(r"\s*5\.(?:7\.|2\.2\b)")
"""Enhanced codes (RFC 3463) likewise: 5.7 is about who may send what, such as relaying; 5.2.2 a full box."""
_SAYS_LITTLE: Final = frozenset({550, 551, 553, 554})
"""To a recipient: there is no such mailbox, or relaying is not allowed; the enhanced code tells which."""
_ENHANCED: Final = re.compile(r"\s*5\.(?!0\.0\b)\d{1,3}\.\d{1,3}\b")
"""An enhanced code that tells something; 5.0.0 does not."""


def translated(error: aiosmtplib.SMTPException | OSError | Unanswered) -> TaskFlowError:
    """Return what aiosmtplib or the network raised as an `Unavailable` or `Undeliverable`."""
    match error:
        case Unanswered():
            late = "did not answer in time" if isinstance(error.__cause__, TimeoutError) else "gave no answer"
            return Unavailable(f"The mail server was sent the mail and {late}; it may arrive twice.")
        case aiosmtplib.SMTPResponseException():
            return _answered(error)
        case _:
            return Unavailable(_unreachable(error))


def _answered(error: aiosmtplib.SMTPResponseException) -> TaskFlowError:
    match error:
        case aiosmtplib.SMTPRecipientRefused():
            may_be_ours = error.code in _SAYS_LITTLE and not _ENHANCED.match(error.message)
            return _refused("recipient", error.code, error.message, may_be_ours=may_be_ours)
        case aiosmtplib.SMTPDataError():
            return _refused("message", error.code, error.message)
        case aiosmtplib.SMTPAuthenticationError():
            return Unavailable(f"The mail server refused the user or the password ({error.code}).")
        case aiosmtplib.SMTPSenderRefused():
            return Unavailable(f"The mail server refused the sender ({error.code}).")
        case _:
            return Unavailable(f"The mail server refused to serve ({error.code}).")


def _refused(what: str, code: int, answer: str, *, may_be_ours: bool = False) -> TaskFlowError:
    detail = f"The mail server refused the {what} ({code})."
    ours = may_be_ours or code in _OURS_TO_MEND or _POLICY.match(answer) is not None
    return Undeliverable(detail) if code // 100 == _PERMANENT and not ours else Unavailable(detail)


def _unreachable(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) or isinstance(
        error.__cause__, ssl.SSLCertVerificationError
    ):
        return "The mail server's certificate is not to be believed."
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return "No secure connection to the mail server came about."
    if isinstance(error, TimeoutError):
        return "The mail server did not answer in time."
    if isinstance(error, OSError):
        return "The mail server cannot be reached, or went away."
    # What is left are conditions of ours that the server does not fulfil: STARTTLS, a way to sign in.
    return "The mail server offers no encryption, or no way to sign in that is known."
