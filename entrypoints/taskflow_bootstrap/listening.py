"""The socket of the API, bound before anything else starts, so that a taken port is told at once."""

from __future__ import annotations

import errno
import socket
from typing import Final

from taskflow_bootstrap.errors import InUse, StartError

_ADVICE: Final = "Name another with --port, or TASKFLOW_PORT."


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a bound socket that does not listen yet.

    Args:
        host: A name or an address of this machine.
        port: 0 takes a free one.
        shared: Whether several sockets of this user may be bound to the port (SO_REUSEPORT), each of
            which then gets its share of the connections.

    Raises:
        InUse: The port is somebody else's.
        StartError: The address cannot be bound.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise StartError(f"{host} is not an address of this machine. Name one with --host.") from error
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
        bound.set_inheritable(True)
    except OSError as error:
        bound.close()
        raise _told(error, host, port) from error
    return bound


def reserve(host: str, port: int) -> socket.socket:
    """Return a socket that keeps the port for sockets bound to it as `shared`, and takes no connections.

    Alone, `shared` would let a second TaskFlow of the same user share the port unnoticed. This one sees
    sockets that listen; of two groups that start in the same moment it may not see the other.

    Raises:
        InUse: The port is somebody else's.
        StartError: The address cannot be bound.
    """
    bind(host, port).close()
    return bind(host, port, shared=True)


def address_of(bound: socket.socket) -> tuple[str, int]:
    """Return host and port that it is bound to."""
    host, port = bound.getsockname()[:2]
    return str(host), int(port)


def url_of(bound: socket.socket) -> str:
    """Return the URL by which this machine reaches it."""
    host, port = address_of(bound)
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://{f'[{local}]' if ':' in local else local}:{port}"


def described(bound: socket.socket) -> str:
    """Return where it listens, as a sentence goes on: by URL only where that is one that clients use.

    Bound to every address, in a container above all, it does not know under which one it is published.
    """
    host, port = address_of(bound)
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - read, not bound
        return f"listens on port {port} of every address ({host})"
    return f"answers at {url_of(bound)}"


def _told(error: OSError, host: str, port: int) -> StartError:
    if error.errno == errno.EADDRINUSE:
        return InUse(f"Port {port} on {host} is taken by another program. {_ADVICE}")
    if error.errno == errno.EACCES:
        return StartError(f"Port {port} is for the system's own services. {_ADVICE}")
    if error.errno == errno.EADDRNOTAVAIL:
        return StartError(f"{host} is not an address of this machine. Name one with --host.")
    return StartError(f"Port {port} on {host} cannot be opened: {error.strerror}.")
