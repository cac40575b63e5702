"""What the text of a setting means where it is more than a number or a choice. All raise ValueError."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Final
from urllib.parse import urlsplit

from taskflow_core import Rate
from taskflow_notify import SmtpServer

EXAMPLE_SECRET: Final = "replace-me-with-48-random-bytes-as-told-above"  # noqa: S105 - refused wherever it is found
SECRET_BYTES_MIN: Final = 32
"""RFC 7518 section 3.2: a key of HS256 has the size of its hash or more."""
_SWITCH: Final = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}


def check_secrets(text: str) -> tuple[str, ...]:
    """Return the signing secrets, newest first.

    Raises:
        ValueError: One is too short, or is the one of `.env.example`. The message does not repeat it.
    """
    secrets = tuple(_listed(text))
    if not secrets:
        raise ValueError("holds no secret")
    if EXAMPLE_SECRET in secrets:
        raise ValueError("is the example of .env.example, which everybody knows; make one of your own")
    if any(len(secret.encode()) < SECRET_BYTES_MIN for secret in secrets):
        raise ValueError(f"must have {SECRET_BYTES_MIN} bytes or more (each, where there are several)")
    return secrets


def check_rate(text: str) -> Rate | None:
    """Return a rate; None for "off"."""
    if text.lower() == "off":
        return None
    try:
        return Rate.parse(text)
    except ValueError as error:
        raise ValueError(f"{error}, or off") from None


def check_networks(text: str) -> tuple[str, ...]:
    """Return networks; an address is one."""
    try:
        return tuple(str(ip_network(part)) for part in _listed(text))
    except ValueError:
        raise ValueError("must be networks or addresses, such as 10.0.0.0/8, 192.0.2.7") from None


def check_origins(text: str) -> tuple[str, ...]:
    """Return origins. `*` is none: it would be every page that somebody who is signed in looks at."""
    origins = tuple(_listed(text))
    if not all(map(_is_origin, origins)):
        raise ValueError("must be origins, such as https://tasks.example.com; * is none")
    return origins


def check_switch(text: str) -> bool:
    """Return whether it is on."""
    if text.lower() not in _SWITCH:
        raise ValueError("must be on or off")
    return _SWITCH[text.lower()]


def check_address(schemes: tuple[str, ...], example: str) -> Callable[[str], str]:
    """Return what checks that a text is a URL with one of these schemes."""

    def check(text: str) -> str:
        try:
            parts = urlsplit(text)
            parts.port  # noqa: B018 - reading it checks it
        except ValueError:
            parts = None
        if parts is None or parts.scheme not in schemes:
            raise ValueError(f"must be an address such as {example}")
        return text

    return check


def check_smtp_url(text: str) -> str:
    """Return the address of a mail server, which holds all of it: `SmtpServer.parse`."""
    SmtpServer.parse(text)
    return text


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _is_origin(text: str) -> bool:
    """Return whether browsers write it so (RFC 6454 section 6.2): what they do not would never match."""
    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return False
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return bool(host) and parts.scheme in {"http", "https"} and text == f"{parts.scheme}://{shown}{port}"
