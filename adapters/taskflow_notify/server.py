"""Which mail server is used, and how: checked whole before anything connects."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

EXAMPLE: Final = "smtp://user:password@mail.example.com:587 or smtps://…"
_SENDER: Final = re.compile(
    r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@([a-z\d-]{1,63}\.)*[a-z\d-]{1,63}",
    re.ASCII | re.IGNORECASE,
)
_SENDER_MAX: Final = 254
_PORTS_THERE_ARE: Final = range(1, 65536)
_OPTIONS: Final = frozenset({"tls", "ca"})


class Security(StrEnum):
    """How the connection is kept from being read and changed.

    - STARTTLS: encrypted after the greeting, or not used at all (RFC 3207)
    - TLS: encrypted from the first byte on (RFC 8314)
    - NONE: not at all; passwords are sent as they are
    """

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


_PORTS: Final = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """A mail server and how one signs in to it.

    Attributes:
        ca: The file of the certificates that are believed; None for those that the system believes, or the
            file that `SSL_CERT_FILE` names.

    Raises:
        ValueError: It cannot be so. The message repeats no value.
    """

    host: str
    port: int
    security: Security = Security.STARTTLS
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ca: str | None = None

    def __post_init__(self) -> None:
        if not self.host or re.search(r"[\s\0-\x1f\x7f]", self.host) or self.port not in _PORTS_THERE_ARE:
            raise ValueError(f"must be an address such as {EXAMPLE}")
        if (self.username is None) != (self.password is None):
            raise ValueError("must have a user and a password, or neither")
        if re.search(r"[\0-\x1f\x7f]", f"{self.username}{self.password}"):
            raise ValueError("must have no control characters in the user or the password")
        if self.ca is not None and self.security is Security.NONE:
            raise ValueError("must not name certificates (ca) where tls is none")

    @classmethod
    def parse(cls, url: str) -> SmtpServer:
        """Return the server that a URL names.

        `smtp://user:password@host:587` is STARTTLS, `smtps://…` (465) TLS from the first byte on,
        `smtp://host:25?tls=none` neither; `?ca=/path.pem` tells which certificates are believed. What is not
        a letter or digit in user and password is percent-encoded.

        Raises:
            ValueError: It names none. The message repeats nothing of it.
        """
        parts, port = _split(url)
        options = _options(parts.query)
        security = _security(parts.scheme, options.get("tls"))
        return cls(
            host=parts.hostname or "",
            port=_PORTS[security] if port is None else port,
            security=security,
            username=_decoded(parts.username),
            password=_decoded(parts.password),
            ca=options.get("ca"),
        )


def check_sender(text: str) -> str:
    """Return the address that mails are from.

    Raises:
        ValueError: It is none, or not in ASCII.
    """
    if len(text) > _SENDER_MAX or not _SENDER.fullmatch(text):
        raise ValueError("must be an address such as taskflow@example.com (without a name, in ASCII)")
    return text


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    # urlsplit takes tabs and line ends away; they are no part of a URL.
    if (
        parts.scheme not in {"smtp", "smtps"}
        or parts.path not in {"", "/"}
        or parts.fragment
        or re.search(r"\s|%(?![\da-fA-F]{2})", url)
        or parts.netloc.count("@") > 1
    ):
        raise ValueError(f"must be an address such as {EXAMPLE}")
    return parts, port


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs) or not options.keys() <= _OPTIONS or not all(options.values()):
        raise ValueError("must have no options but tls and ca, each once")
    return options


def _security(scheme: str, tls: str | None) -> Security:
    if scheme == "smtps" and tls is None:
        return Security.TLS
    if scheme == "smtp" and tls in {None, Security.STARTTLS, Security.NONE}:
        return Security(tls or Security.STARTTLS)
    raise ValueError("must have tls=starttls or tls=none with smtp://, and no tls with smtps://")


def _decoded(text: str | None) -> str | None:
    try:
        # "" is no user: smtp://@host.
        return unquote(text, errors="strict") if text else None
    except UnicodeDecodeError:
        raise ValueError("must have a user and a password in UTF-8, percent-encoded") from None
