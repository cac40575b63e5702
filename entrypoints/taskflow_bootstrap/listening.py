"""The socket of the API, bound before anything else starts, so that a taken port is told at once."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address
from typing import Final

from taskflow_bootstrap.errors import InUse, StartError

SEND_BUFFER: Final = 128 * 1024
"""Bytes of a response that the kernel keeps until the client reads them (Linux allows the double).

By itself it takes megabytes for each client that does not read, and copying them for a few hundred
connections stops everybody for seconds.
"""
RECEIVE_BUFFER: Final = 32 * 1024
"""Bytes that a client may have sent and nobody has read yet, for each connection (Linux allows the double).

So much a read can bring at once, and what cannot be parsed yet is kept: with the kernel's own sizes a
thousand connections can make that 256 MB. A body of 1 MiB takes some more round trips.
"""
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
        # Connections get them from the socket that accepts them, before a window is offered.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
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
    return _url(local, port)


def is_local(bound: socket.socket) -> bool:
    """Return whether this machine alone can reach it."""
    return ip_address(address_of(bound)[0].partition("%")[0]).is_loopback


def other_urls(bound: socket.socket) -> tuple[str, ...]:
    """Return the URLs by which other machines may reach it: none where it listens for this machine alone."""
    host, port = address_of(bound)
    address = ip_address(host.partition("%")[0])
    if is_local(bound):
        return ()
    if not address.is_unspecified:
        return (_url(host, port),)
    families = [socket.AF_INET] if address.version == 4 else [socket.AF_INET, socket.AF_INET6]  # noqa: PLR2004 - IPv4
    return tuple(_url(own, port) for own in map(_own_address, families) if own)


def _own_address(family: socket.AddressFamily) -> str | None:
    """Return the address from which this machine would write to a far one; nothing is sent."""
    far = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}[family]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((far, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


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
