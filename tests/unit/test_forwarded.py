"""The client's address behind proxies: what a trusted one wrote is believed, and nothing else."""

import time
from ipaddress import ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskflow_security import TrustedProxies, client_address

PROXIES = ["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.1"]
TRUSTED = [ip_network(each) for each in PROXIES]
PEER = "10.0.0.1"
Headers = list[tuple[bytes, bytes]]


def xff(*lines: str) -> Headers:
    return [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]


def forwarded(*lines: str) -> Headers:
    return [(b"forwarded", line.encode("latin-1")) for line in lines]


# peer, headers, client
FOUND: dict[str, tuple[str | None, Headers, str | None]] = {
    "no proxy": ("198.51.100.9", [], "198.51.100.9"),
    "a proxy that says nothing": (PEER, [], PEER),
    "no address at all": (None, xff("198.51.100.9"), None),
    "a peer that is no address": ("testclient", xff("198.51.100.9"), None),
    "a client that plays the proxy": ("198.51.100.9", xff("203.0.113.1"), "198.51.100.9"),
    "a client that plays the proxy, by RFC": ("198.51.100.9", forwarded("for=203.0.113.1"), "198.51.100.9"),
    "other headers": (PEER, [(b"x-real-ip", b"1.1.1.1"), (b"via", b"1.1.1.1")], PEER),
    # X-Forwarded-For
    "one hop": (PEER, xff("198.51.100.9"), "198.51.100.9"),
    "what the client wrote before": (PEER, xff("203.0.113.1, 198.51.100.9"), "198.51.100.9"),
    "a proxy's address that the client wrote": (
        PEER,
        xff("203.0.113.1, 10.1.1.1, 198.51.100.9"),
        "198.51.100.9",
    ),
    "two proxies": (PEER, xff("203.0.113.1, 198.51.100.9, 10.0.0.2"), "198.51.100.9"),
    "two lines": (PEER, xff("203.0.113.1", "198.51.100.9, 10.0.0.2"), "198.51.100.9"),
    "two lines, the last trusted": (PEER, xff("203.0.113.1, 198.51.100.9", "10.0.0.2"), "198.51.100.9"),
    "only proxies": (PEER, xff("10.0.0.3, 10.0.0.2"), "10.0.0.3"),
    "an empty line": (PEER, xff(""), PEER),
    "an empty hop": (PEER, xff("198.51.100.9,"), PEER),
    "a blank hop": (PEER, xff("198.51.100.9, ,10.0.0.2"), "10.0.0.2"),
    "no address": (PEER, xff("198.51.100.9, somebody"), PEER),
    "unknown": (PEER, xff("198.51.100.9, unknown, 10.0.0.2"), "10.0.0.2"),
    "a port": (PEER, xff("198.51.100.9:4711"), "198.51.100.9"),
    "IPv6": (PEER, xff("2001:db8::1"), "2001:db8::1"),
    "IPv6 in brackets": (PEER, xff("[2001:db8::1]"), "2001:db8::1"),
    "IPv6 with a port": (PEER, xff("[2001:db8::1]:4711"), "2001:db8::1"),
    "IPv6 written long": (PEER, xff("2001:0DB8:0:0::0001"), "2001:db8::1"),
    "IPv6 with a zone": (PEER, xff("fe80::1%eth0"), PEER),
    "IPv4 in IPv6": (PEER, xff("::ffff:198.51.100.9"), "198.51.100.9"),
    "IPv4 in brackets": (PEER, xff("[198.51.100.9]"), PEER),
    "leading zeros": (PEER, xff("198.051.100.009"), PEER),
    "other digits": (PEER, [(b"x-forwarded-for", "\u0661.1.1.1".encode())], PEER),
    "a port that is none": (PEER, xff("198.51.100.9:http"), PEER),
    "a port and no more": (PEER, xff(":80"), PEER),
    "a line feed": (PEER, xff("198.51.100.9\n"), PEER),
    "quoted": (PEER, xff('"198.51.100.9"'), PEER),
    "no blank between": (PEER, xff("203.0.113.1,198.51.100.9,10.0.0.2"), "198.51.100.9"),
    "tabs between": (PEER, xff("203.0.113.1\t,\t198.51.100.9\t"), "198.51.100.9"),
    # peers
    "an IPv6 proxy": ("2001:db8:ffff::5", xff("198.51.100.9"), "198.51.100.9"),
    "a proxy mapped to IPv6": ("::ffff:10.0.0.1", xff("198.51.100.9"), "198.51.100.9"),
    "a proxy that is one address": ("192.0.2.1", xff("198.51.100.9"), "198.51.100.9"),
    "the one beside it": ("192.0.2.2", xff("198.51.100.9"), "192.0.2.2"),
    "a peer mapped to IPv6": ("::ffff:198.51.100.9", [], "198.51.100.9"),
    "a peer with a zone": ("fe80::1%eth0", [], "fe80::1"),
    # Forwarded
    "one hop, by RFC": (PEER, forwarded("for=198.51.100.9"), "198.51.100.9"),
    "name in capitals": (PEER, forwarded("For=198.51.100.9"), "198.51.100.9"),
    "with its other parts": (
        PEER,
        forwarded("by=10.0.0.1;for=198.51.100.9;host=x;proto=https"),
        "198.51.100.9",
    ),
    "blanks around": (PEER, forwarded(" for=203.0.113.1 ,\tfor=198.51.100.9 ; proto=http "), "198.51.100.9"),
    "two proxies, by RFC": (
        PEER,
        forwarded("for=203.0.113.1, for=198.51.100.9, for=10.0.0.2"),
        "198.51.100.9",
    ),
    "two lines, by RFC": (
        PEER,
        forwarded("for=203.0.113.1, for=198.51.100.9", "for=10.0.0.2"),
        "198.51.100.9",
    ),
    "quoted IPv6": (PEER, forwarded('for="[2001:db8::1]"'), "2001:db8::1"),
    "quoted IPv6 with a port": (PEER, forwarded('for="[2001:db8::1]:4711"'), "2001:db8::1"),
    "quoted IPv4 with a port": (PEER, forwarded('for="198.51.100.9:4711"'), "198.51.100.9"),
    "a made-up port": (PEER, forwarded('for="198.51.100.9:_hidden"'), "198.51.100.9"),
    "escapes": (PEER, forwarded('for="198.51.100\\.9"'), "198.51.100.9"),
    "IPv6 without quotes": (PEER, forwarded("for=[2001:db8::1]"), PEER),
    "IPv6 without brackets": (PEER, forwarded('for="2001:db8::1"'), PEER),
    "unknown, by RFC": (PEER, forwarded("for=198.51.100.9, for=unknown"), PEER),
    "unknown before a proxy": (PEER, forwarded("for=unknown, for=10.0.0.2"), "10.0.0.2"),
    "a made-up name": (PEER, forwarded("for=_gazonk"), PEER),
    "a made-up name with a port": (PEER, forwarded('for="_gazonk:80"'), PEER),
    "nothing about for": (PEER, forwarded("for=198.51.100.9, proto=https"), PEER),
    "for twice": (PEER, forwarded("for=203.0.113.1;for=198.51.100.9"), PEER),
    "no value": (PEER, forwarded("for="), PEER),
    "no name": (PEER, forwarded("=198.51.100.9"), PEER),
    "an empty line, by RFC": (PEER, forwarded(""), PEER),
    "an empty element": (PEER, forwarded("for=198.51.100.9,"), PEER),
    "a comma in quotes": (PEER, forwarded('x="a, for=203.0.113.1", for=198.51.100.9'), "198.51.100.9"),
    "an open quote": (PEER, forwarded('for="203.0.113.1, for=198.51.100.9'), PEER),
    "a quote that a proxy closes": (PEER, forwarded('for=203.0.113.1;x=", for="[2001:db8::1]"'), PEER),
    "an open quote a line before": (PEER, forwarded('for="203.0.113.1', "for=198.51.100.9"), "198.51.100.9"),
    "an open quote behind a proxy": (PEER, forwarded('for="203.0.113.1', "for=10.0.0.2"), "10.0.0.2"),
    "a broken line behind": (PEER, forwarded("for=203.0.113.1", 'for="198.51.100.9'), PEER),
    # both
    "both, the same": (PEER, forwarded("for=198.51.100.9") + xff("198.51.100.9"), "198.51.100.9"),
    "both, the client's own Forwarded": (PEER, forwarded("for=203.0.113.1") + xff("198.51.100.9"), PEER),
    "both, the client's own X-Forwarded-For": (
        PEER,
        xff("203.0.113.1") + forwarded("for=198.51.100.9"),
        PEER,
    ),
    "both, one of them broken": (PEER, forwarded("garbage") + xff("198.51.100.9"), PEER),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_the_client_is_the_first_that_is_no_trusted_proxy(
    case: tuple[str | None, Headers, str | None],
) -> None:
    peer, headers, client = case
    assert client_address(peer, headers, TRUSTED) == client
    assert TrustedProxies(PROXIES).client_address(peer, headers) == client


@pytest.mark.parametrize("headers", [xff("198.51.100.9"), forwarded("for=198.51.100.9")])
def test_without_trusted_proxies_nothing_is_believed(headers: Headers) -> None:
    assert TrustedProxies().client_address(PEER, headers) == PEER
    assert client_address(PEER, headers, []) == PEER


@pytest.mark.parametrize("network", ["10.0.0.1/8", "10.0.0.0/33", "proxy.internal", "", "10.0.0.0-10.0.0.9"])
def test_a_network_that_is_none_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        TrustedProxies(["10.0.0.0/8", network])


def test_all_may_be_trusted() -> None:
    assert TrustedProxies(["0.0.0.0/0", " ::/0 "]).client_address(PEER, xff("1.1.1.1, 2.2.2.2")) == "1.1.1.1"


WRITTEN = st.text(st.sampled_from('for=";, \\[]:_.0123456789abcdefx-%\t') | st.characters(codec="latin-1"))


@given(WRITTEN, st.sampled_from(["198.51.100.9", "2001:db8::9"]))
@example('for=203.0.113.1;x="', "2001:db8::9")
@example("203.0.113.1", "198.51.100.9")
def test_whatever_a_client_writes_it_is_taken_for_itself_or_for_the_proxy(wrote: str, client: str) -> None:
    node = f'"[{client}]"' if ":" in client else client
    believed = {client, PEER}
    assert client_address(PEER, xff(f"{wrote}, {client}"), TRUSTED) == client
    assert client_address(PEER, forwarded(f"{wrote}, for={node}"), TRUSTED) in believed
    assert client_address(PEER, forwarded(wrote, f"for={node}"), TRUSTED) == client
    assert client_address(PEER, forwarded(wrote) + xff(client), TRUSTED) in believed
    assert client_address(PEER, xff(wrote) + forwarded(f"for={node}"), TRUSTED) in believed


@pytest.mark.parametrize(
    "value",
    [
        "," * 32_000,
        ", " * 16_000,
        ":" * 32_000,
        "[" + ":" * 32_000,
        "1." * 16_000,
        '"' * 32_000,
        'for="' + "\\" * 31_999,
        "for=" * 8_000,
        "x" * 32_000,
        "a=b;" * 8_000,
        ",".join(["10.0.0.2"] * 3_500),
        ",".join(["for=10.0.0.2"] * 2_500),
    ],
)
def test_a_header_of_32_kib_takes_no_time(value: str) -> None:
    began = time.process_time()
    for headers in (xff(value), forwarded(value)):
        assert client_address(PEER, headers, TRUSTED) in {PEER, "10.0.0.2"}
    assert time.process_time() - began < 2
