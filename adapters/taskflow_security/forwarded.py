"""The client's address behind proxies: `Forwarded` (RFC 7239) and `X-Forwarded-For`."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from taskflow_security.addresses import Address, Network, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 RFC 9110's word
_QUOTED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*"'
_PAIR: Final = re.compile(rf"({_TOKEN})=({_TOKEN}|{_QUOTED})")
_SEPARATOR: Final = re.compile(r"[ \t]*([;,])[ \t]*")
_ESCAPED: Final = re.compile(r"\\(.)")
# An address, in brackets where it is IPv6, and maybe a port, which may be made up (RFC 7239 section 6).
_NODE: Final = re.compile(
    r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15}))(?::(?:[0-9]{1,5}|_[\w.-]+))?", re.ASCII
)


class TrustedProxies:
    """Finds the address of a request's client, believing the proxies that are named and nobody else.

    A proxy that writes one of the two headers and lets the client's own of the other through is common: so
    where both are there and name different clients, neither is believed.

    Args:
        networks: The proxies' addresses, or networks such as 10.0.0.0/8.

    Raises:
        ValueError: One of them is no network.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks: tuple[Network, ...] = tuple(ip_network(network.strip()) for network in networks)

    def client_address(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the client's address, None where the peer has none.

        Args:
            peer: Who is connected.
            headers: Of the request as ASGI gives them: names in lower case.
        """
        return client_address(peer, headers, self._networks)


def client_address(
    peer: str | None, headers: Iterable[tuple[bytes, bytes]], trusted: Sequence[Network]
) -> str | None:
    """Return the address of the client: the first, seen from here, that is no trusted proxy.

    Each proxy writes behind what it was sent by whom it was sent it, so only what a trusted one wrote is
    believed, from the end on. Where that makes no sense, the proxy that wrote it stands for the client.
    """
    nearest = parsed(peer or "")
    if nearest is None:
        return None
    if not _is_trusted(nearest, trusted):
        return str(nearest)
    lines: dict[bytes, list[str]] = {}
    for name, value in headers:
        if name in _READERS:
            lines.setdefault(name, []).append(value.decode("latin-1"))
    found = {_walk(nearest, _READERS[name](given), trusted) for name, given in lines.items()}
    return str(found.pop() if len(found) == 1 else nearest)


def _walk(nearest: Address, hops: Iterator[Address | None], trusted: Sequence[Network]) -> Address:
    for hop in hops:
        if hop is None:
            break
        nearest = hop
        if not _is_trusted(nearest, trusted):
            break
    return nearest


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def _x_forwarded_for(lines: list[str]) -> Iterator[Address | None]:
    """Yield the hops from the nearest on, None for what is no address."""
    for line in reversed(lines):
        while line:
            line, _, hop = line.rpartition(",")  # noqa: PLW2901 it is eaten from its end
            text = hop.strip(" \t")
            # Many write IPv6 without brackets here.
            yield parsed(text) if "%" not in text and text.count(":") > 1 and "[" not in text else _node(text)


def _forwarded(lines: list[str]) -> Iterator[Address | None]:
    """Yield the hops from the nearest on, None for what is no address or no header.

    Each line is read by itself: a quote that the client left open in its own does not reach a proxy's.
    """
    for line in reversed(lines):
        elements = _elements(line)
        if elements is None:
            yield None
            return
        for element in reversed(elements):
            yield _node(element.get("for", ""))


def _elements(line: str) -> list[dict[str, str]] | None:
    """Return what the elements of a line say, None where it is not written as RFC 7239 section 4 has it."""
    elements: list[dict[str, str]] = [{}]
    at, line = 0, line.strip(" \t")
    while True:
        pair = _PAIR.match(line, at)
        if pair is None or pair[1].lower() in elements[-1]:
            return None
        elements[-1][pair[1].lower()] = _unquoted(pair[2])
        if pair.end() == len(line):
            return elements
        separator = _SEPARATOR.match(line, pair.end())
        if separator is None:
            return None
        at = separator.end()
        if separator[1] == ",":
            elements.append({})


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def _node(text: str) -> Address | None:
    """Return the address; None for `unknown`, a made-up name, and what is neither."""
    found = _NODE.fullmatch(text)
    if found is None:
        return None
    if found[1] is not None and ":" not in found[1]:
        return None
    return parsed(found[1] or found[2])


_READERS: Final = {b"forwarded": _forwarded, b"x-forwarded-for": _x_forwarded_for}
