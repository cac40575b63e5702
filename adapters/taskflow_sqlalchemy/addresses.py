"""The database's URL: checked by libpq, and merged with the parameters that TaskFlow needs.

libpq parses the URL, so that its forms all work: several hosts, socket directories, percent-encoding.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo, PGconn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

APPLICATION_NAME: Final = "taskflow"
CONNECT_TIMEOUT: Final = 5
"""Seconds until an attempt to connect is given up."""
PINNED: Final = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    # Units of work lock what they change; under a stricter level they would fail where they now wait.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
}
"""What the statements rely on, whatever the server, database, role or environment has as its default."""
_TCP: Final = {
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    # Milliseconds in which what is sent must arrive.
    "tcp_user_timeout": "10000",
}
"""By which the system ends a connection whose other end is gone; in seconds but for the last."""
_SCHEMES: Final = ("postgresql://", "postgres://", "postgresql+psycopg://")
_NUMBERS: Final = ("connect_timeout", *_TCP)
_FILES: Final = ("sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir")
_PRIMARY: Final = ("read-write", "primary")
_UNKNOWN: Final = re.compile(r'invalid URI query parameter: "(\w+)"')
_REPEATED: Final = re.compile(r"[?&](\w+)=[^#]*&\1=")
_OVERRIDING: Final = {"PGTZ": "UTC", "PGDATESTYLE": "ISO"}
"""libpq sends these such that they go before `options`; only these values do no harm."""
_EXAMPLE: Final = "must be an address such as postgresql://user:password@localhost:5432/taskflow"

_ENCODED: Final = f"{_EXAMPLE}, with @ : / ? # % in user and password percent-encoded"
_PORT_MAX: Final = 65535
_SURROUNDED: Final = "cannot be used where a variable PG… or the service file"


def parameters_of(url: str) -> dict[str, str]:
    """Return libpq's parameters that `url` (`postgresql://…`) names.

    Raises:
        ValueError: It is not the URL of a PostgreSQL primary, or libpq refuses a parameter or its value. The
            message repeats no value.
    """
    scheme = next((scheme for scheme in _SCHEMES if url.startswith(scheme)), None)
    if scheme is None or re.search(r"[\0-\x1f\x7f]", url):
        raise ValueError(_EXAMPLE)
    if repeated := _REPEATED.search(url):
        raise ValueError(
            f"names {repeated[1]} more than once; several hosts are host1:port1,host2:port2 before the path"
        )
    before_query = url.partition("?")[0].removeprefix(scheme)
    if "@" in before_query.replace("@", "", 1) or "@" in before_query.partition("/")[2]:
        # libpq would take a part of the password for a host.
        raise ValueError(_ENCODED)
    try:
        given = conninfo_to_dict(f"postgresql://{url.removeprefix(scheme).replace(' ', '%20')}")
    except UnicodeDecodeError:
        raise ValueError(_ENCODED) from None
    except psycopg.Error as error:
        if "extra key/value separator" in str(error):
            raise ValueError("has a parameter whose value holds =, which is written as %3D there") from None
        unknown = _UNKNOWN.search(str(error))
        raise ValueError(
            f"has a parameter that PostgreSQL does not know: {unknown[1]}" if unknown else _ENCODED
        ) from None
    parameters = {name: str(value) for name, value in given.items() if value not in (None, "")}
    if "service" in parameters:
        raise ValueError("must not name a service; set PGSERVICE instead")
    _check(parameters)
    return parameters


def check_url(url: str) -> None:
    """Check that TaskFlow can connect by `url` in this environment, without connecting.

    Raises:
        ValueError: See `parameters_of`.
    """
    connection_parameters(url, {})


def connection_parameters(
    url: str, settings: Mapping[str, str], defaults: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the parameters to connect with, as libpq names them.

    The URL goes before the environment (`PGOPTIONS`, `PGAPPNAME`, …) and a service file, and both go before
    TaskFlow's own defaults. What correctness rests on goes before all of them.

    Args:
        url: `postgresql://user:password@host/database`.
        settings: Of the server, for these connections; they go before those of the URL.
        defaults: Likewise, but those of the URL go before them.

    Raises:
        ValueError: See `parameters_of`.
    """
    given = parameters_of(url)
    surroundings = _surroundings(given)
    _probe(given)
    ours = {
        **_TCP,
        "application_name": APPLICATION_NAME,
        "connect_timeout": str(CONNECT_TIMEOUT),
        # A demoted server is refused at connecting; of several hosts the primary is used.
        "target_session_attrs": "read-write",
    }
    for name, value in _OVERRIDING.items():
        if os.environ.get(name, value) != value:
            raise ValueError(f"cannot be used while {name} is set; unset it")
    options = given.get("options", surroundings.get("options", ""))
    if options.endswith("\\"):
        raise ValueError("has options that end with a backslash")
    merged = {name: surroundings.get(name, value) for name, value in ours.items()} | given
    return merged | {
        "client_encoding": "UTF8",
        "options": " ".join(
            part for part in (_options(defaults or {}), options, _options({**PINNED, **settings})) if part
        ),
    }


def _surroundings(given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that variables (`PGOPTIONS`, …) and the service file set.

    Raises:
        ValueError: `given`, those of the URL, cannot be used together with them.
    """
    try:
        found = {
            option.keyword.decode(): option.val.decode()
            for option in Conninfo.get_defaults()
            if option.val and option.val != option.compiled
        }
        _check({**found, **given})
    except UnicodeDecodeError:
        raise ValueError(f"{_SURROUNDED} has a parameter that is not in UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{_SURROUNDED} {error}") from None
    return found


def _options(settings: Mapping[str, str]) -> str:
    escaped = {name: value.replace(" ", "\\ ") for name, value in settings.items()}
    return " ".join(f"-c {name}={value}" for name, value in escaped.items())


def _check(parameters: Mapping[str, str]) -> None:
    """Find what libpq would refuse only when it connects, or never."""
    if parameters.get("target_session_attrs", _PRIMARY[0]) not in _PRIMARY:
        raise ValueError(f"must lead to the primary: target_session_attrs may be {' or '.join(_PRIMARY)}")
    if "replication" in parameters:
        raise ValueError("must not ask for replication")
    _check_hosts(*(parameters.get(name, "").split(",") for name in ("host", "hostaddr", "port")))
    for name in _NUMBERS:
        if not re.fullmatch(r"\d{0,9}", parameters.get(name, "")):
            raise ValueError(f"has a {name} that is not a whole number")
    for name in _FILES:
        path = parameters.get(name, "system")
        if path != "system" and not Path(path).exists():
            raise ValueError(f"names a file as {name} that does not exist")


def _check_hosts(hosts: Sequence[str], addresses: Sequence[str], ports: Sequence[str]) -> None:
    if not all(port == "" or (port.isdecimal() and 0 < int(port) <= _PORT_MAX) for port in ports):
        raise ValueError(f"{_EXAMPLE}: a port is a number from 1 to 65535")
    if any(hosts) and any(addresses) and len(hosts) != len(addresses):
        raise ValueError("must have as many hostaddr as hosts")
    if len(ports) > 1 and len(ports) != len(addresses if any(addresses) else hosts):
        raise ValueError("must have one port for all hosts, or one for each")
    try:
        list(map(ip_address, filter(None, addresses)))
    except ValueError:
        raise ValueError("has a hostaddr that is not an IP address") from None


def _probe(given: Mapping[str, str]) -> None:
    """Let libpq check what it knows, by a connection to a socket that does not exist."""
    nowhere = {"host": "/nonexistent", "port": "1", "hostaddr": ""}
    probe = PGconn.connect_start(make_conninfo(**{**given, **nowhere}).encode())
    refusal = probe.error_message.decode(errors="replace").strip()
    probe.finish()
    if found := re.match(r'invalid "?(\w+)"? value', refusal):
        subject = "" if found[1] in given else f"{_SURROUNDED} "
        raise ValueError(f"{subject}has a {found[1]} that PostgreSQL does not know")
    if "/nonexistent" not in refusal:
        for value in given.values():
            refusal = refusal.replace(f'"{value}"', "this one")
        raise ValueError(f"cannot be used: {refusal}")
