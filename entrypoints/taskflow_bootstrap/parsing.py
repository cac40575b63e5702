"""What the text of a setting means where it is more than a number or a choice. All raise ValueError."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from taskflow_core import Rate
from taskflow_notify import SmtpServer

EXAMPLE_SECRET: Final = "replace-me-with-48-random-bytes-as-told-above"  # noqa: S105 - refused wherever it is found
SECRET_BYTES_MIN: Final = 32
"""RFC 7518 section 3.2: a key of HS256 has the size of its hash or more."""
_REDIS_EXAMPLE: Final = (
    "must be an address such as redis://localhost:6379/0, rediss://… or unix://…, with what is not a letter "
    "or a digit in user and password percent-encoded"
)
_BAD_ENCODING: Final = re.compile(r"%(?![\da-fA-F]{2})|%00|[\0-\x20\x7f]")
_REDIS_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_BOOLEAN: Final = "(?i:true|false|yes|no|1|0)"
_SECONDS: Final = r"(?=.*[1-9])\d{1,6}(\.\d{1,6})?"
_REDIS_OPTIONS: Final = {
    "db": r"\d{1,6}",
    "username": ".+",
    "password": ".+",
    "client_name": r"[!-~]+",
    "protocol": "[23]",
    "health_check_interval": r"\d{1,6}",
    "max_connections": r"[1-9]\d{0,5}",
    "socket_timeout": _SECONDS,
    "socket_connect_timeout": _SECONDS,
    "socket_keepalive": _BOOLEAN,
    "ssl_cert_reqs": "none|optional|required",
    "ssl_check_hostname": _BOOLEAN,
    **dict.fromkeys(_REDIS_FILES, ".+"),
}
"""What redis-py's URLs may hold, and what values are; what would change how answers are read is left out."""
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


def check_database_url(text: str) -> str:
    """Return the URL of a PostgreSQL primary that libpq accepts."""
    from taskflow_sqlalchemy import check_url  # noqa: PLC0415 - half a second that --help need not spend

    check_url(text)
    return text


def check_redis_url(text: str) -> str:
    """Return the URL of a Redis whose options redis-py knows. It would ignore a wrong database number."""
    parts = _split(text)
    # redis-py wants the scheme in lower case.
    if parts is None or not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(_REDIS_EXAMPLE)
    if parts.scheme != "unix" and not re.fullmatch(r"(/\d*)?", parts.path):
        raise ValueError("must have a number as its database, such as redis://localhost:6379/0")
    # What stands before the path would be dropped: unix://run/redis.sock is /redis.sock.
    if parts.scheme == "unix" and (parts.path in ("", "/") or parts.netloc.rpartition("@")[2]):
        raise ValueError(_REDIS_EXAMPLE)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    for name, value in pairs:
        pattern = _REDIS_OPTIONS.get(name)
        of_tls, of_tcp = name.startswith("ssl_"), name == "socket_keepalive"
        if pattern is None or (of_tls and parts.scheme != "rediss") or (of_tcp and parts.scheme == "unix"):
            raise ValueError(f"has an option that cannot be used with it: {name}")
        if not re.fullmatch(pattern, value):
            raise ValueError(f"has a {name} that is not valid")
        if name in _REDIS_FILES and not Path(value).exists():
            raise ValueError(f"names a file as {name} that does not exist")
    if len(dict(pairs)) < len(pairs):
        raise ValueError("has an option more than once")
    return text


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        # Reading the port checks that it is a number.
        valid = parts.port != 0 and not _BAD_ENCODING.search(text) and bool(unquote(text, errors="strict"))
    except ValueError:
        return None
    # urlsplit drops control characters, and what follows an unencoded # or a second @ is not what was meant.
    fine = valid and parts.netloc.count("@") <= 1 and "@" not in parts.path and not parts.fragment
    return parts if fine else None


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
