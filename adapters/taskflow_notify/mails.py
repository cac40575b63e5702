"""Notices as mails (RFC 5322): who they are to, their header and their body.

The header is written here and not by `email.message`, which takes an encoded word (RFC 2047) in what it
is given for one of its own, decodes it, and writes the line ends that come out of it: the title
`=?utf-8?q?=0d=0aBcc=3A…?=` would be another field.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from taskflow_core.errors import Unaddressable, Undeliverable
from taskflow_notify.lines import in_a_line, letters, looks_like_a_link, unlinked
from taskflow_notify.words import Words

if TYPE_CHECKING:
    from aiosmtplib import SMTP

    from taskflow_core.notices import Notice

NAME_MAX: Final = 64
SUBJECT_MAX: Final = 120
_FOLD: Final = "\r\n "
_LINE_MAX: Final = 76
"""Characters of a line with an encoded word in it (RFC 2047 section 2)."""
_WORD_MAX: Final = 39
"""Bytes before encoding: with 64 characters a word is below RFC 2047's 75, and `Subject: ` fits before it."""
_FORBIDDEN: Final = re.compile(r'[\s\0-\x1f\x7f-\x9f<>()\[\],;:\\"@]')
_PLAIN: Final = re.compile(r"[A-Za-z0-9 .,;:!?'()/+_&%#*-]*", re.ASCII)
"""What needs no encoding in a subject."""
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9 '_-]*", re.ASCII)
"""What needs neither encoding nor quotes before an address."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it is sent.

    Attributes:
        sender: Of the envelope, as is the recipient.
        content: Header and body.
        utf8: Whether the server has to know addresses that are not ASCII (RFC 6531).
    """

    sender: str
    recipient: str = field(repr=False)
    content: bytes = field(repr=False)
    utf8: bool

    def require_taken_by(self, server: SMTP) -> None:
        """Raise `Undeliverable` where the server does not know such addresses."""
        if self.utf8 and not server.supports_extension("smtputf8"):
            raise Undeliverable("The mail server takes no addresses beyond ASCII.")


class MailWriter:
    """Writes mails.

    Args:
        sender: The address that they are from, in ASCII.
    """

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._domain = sender.rpartition("@")[2]
        self._words = Words()

    def __call__(self, notice: Notice) -> Mail:
        """Return the mail for a notice.

        Raises:
            Unaddressable: No mail can be sent to such an address.
        """
        recipient = _address(notice.email)
        content = self._content(notice, recipient)
        return Mail(self._sender, recipient, content, utf8=not recipient.isascii())

    def _content(self, notice: Notice, recipient: str) -> bytes:
        words = self._words.of(notice)
        fields = {
            "From": f"TaskFlow <{self._sender}>",
            "To": _named(notice.name, recipient),
            "Subject": _encoded(unlinked(in_a_line(words.subject, SUBJECT_MAX)), _PLAIN),
            "Date": format_datetime(notice.at.astimezone(UTC)),
            "Message-ID": f"<{notice.id}@{self._domain}>",
            "X-TaskFlow-Notice": str(notice.id),
            "Auto-Submitted": "auto-generated",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return head.encode() + _body(words.text, words.html)


def _body(text: str, html: str) -> bytes:
    body = EmailMessage(policy=WIRE)
    # Quoted-printable, so that it is the same for a server without 8BITMIME.
    body.set_content(text, cte="quoted-printable")
    body.add_alternative(html, subtype="html", cte="quoted-printable")
    return body.as_bytes()


def _address(email: str) -> str:
    """Return an address as mail servers take it: the domain in ASCII (RFC 5890), odd dots quoted."""
    local, _, domain = email.rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
        local.encode("utf-8")
    except UnicodeError:
        domain = ""
    if not local or not domain or _FORBIDDEN.search(local) or _FORBIDDEN.search(domain):
        raise Unaddressable("The address is none that mails can be sent to.")
    return f"{local}@{domain}" if all(local.split(".")) else f'"{local}"@{domain}'


def _named(name: str, address: str) -> str:
    shown = in_a_line(name, NAME_MAX)
    if not shown or looks_like_a_link(shown):
        return f"<{address}>"
    named = _encoded(shown, _PLAIN_NAME)
    last = named.rpartition("\n")[2]
    fits = len(f"To: {last} <{address}>") <= _LINE_MAX
    return f"{named}{'' if fits else _FOLD} <{address}>".replace(f"{_FOLD} ", _FOLD)


def _encoded(text: str, plain: re.Pattern[str]) -> str:
    """Return a text of one line for a field of a header, encoded (RFC 2047) unless it is plain."""
    if plain.fullmatch(text):
        return text
    words = [b""]
    for letter in letters(text):
        # One that is longer than a word is broken, between characters.
        for part in [letter] if len(letter.encode()) <= _WORD_MAX else letter:
            if len(words[-1]) + len(part.encode()) > _WORD_MAX:
                words.append(b"")
            words[-1] += part.encode()
    return _FOLD.join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in words)
