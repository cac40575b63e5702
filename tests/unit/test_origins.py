"""Where requests come from: hashes that tell the same from others, and nothing else."""

import pytest

from taskflow_core.sessions import USER_AGENT_MAX, Origin
from taskflow_security import Origins

KEY = "k" * 32
ORIGINS = Origins(KEY)


def address(text: str) -> str | None:
    return ORIGINS.of(text, None).address


def network(text: str) -> str | None:
    return ORIGINS.of(text, None).network


SAME_ADDRESS = {
    "itself": ("192.0.2.7", "192.0.2.7"),
    "mapped to IPv6": ("192.0.2.7", "::ffff:192.0.2.7"),
    "mapped, in hexadecimal": ("192.0.2.7", "::FFFF:c000:0207"),
    "written long": ("2001:db8::1", "2001:0DB8:0000:0000:0000:0000:0000:0001"),
    "in the same /64": ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
    "with a zone": ("fe80::1", "fe80::1%eth0"),
}
OTHER_ADDRESS = {
    "the next": ("192.0.2.7", "192.0.2.8"),
    "in the next /64": ("2001:db8:1:2::1", "2001:db8:1:3::1"),
    "the same bits in the other family": ("1.2.3.4", "0:0:102:304::"),
    "embedded in another way": ("192.0.2.7", "64:ff9b::c000:207"),
}


@pytest.mark.parametrize("pair", SAME_ADDRESS.values(), ids=SAME_ADDRESS)
def test_an_address_is_the_same_however_it_is_written(pair: tuple[str, str]) -> None:
    assert address(pair[0]) == address(pair[1]) is not None
    assert network(pair[0]) == network(pair[1]) is not None
    assert ORIGINS.subject(pair[0]) == ORIGINS.subject(pair[1])


@pytest.mark.parametrize("pair", OTHER_ADDRESS.values(), ids=OTHER_ADDRESS)
def test_another_address_is_another(pair: tuple[str, str]) -> None:
    assert address(pair[0]) != address(pair[1])
    assert ORIGINS.subject(pair[0]) != ORIGINS.subject(pair[1])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.0", "192.0.2.255", True),
        ("192.0.2.7", "192.0.3.7", False),
        ("2001:db8:1::1", "2001:db8:1:ffff::1", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
    ],
)
def test_a_network_is_a_24_or_a_48(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same
    assert address(one) != address(other)


@pytest.mark.parametrize(
    "text", [None, "", "unknown", "testclient", "192.0.2", "192.0.2.07", "1.2.3.4:80", "\0"]
)
def test_what_is_no_address_is_not_known(text: str | None) -> None:
    assert ORIGINS.of(text, "curl") == Origin(user_agent="curl")
    assert ORIGINS.subject(text) == "unknown"


def test_without_the_key_the_hashes_tell_nothing() -> None:
    other = Origins("j" * 32)
    assert other.of("192.0.2.7", None).address != address("192.0.2.7")
    assert other.of("192.0.2.7", None).network != network("192.0.2.7")
    assert other.subject("192.0.2.7") != ORIGINS.subject("192.0.2.7")
    assert Origins(KEY).of("192.0.2.7", None) == ORIGINS.of("192.0.2.7", None)


def test_address_network_and_subject_are_not_told_apart_by_equality() -> None:
    """The first of a network hashes to something else as a network, and as what is counted."""
    of = ORIGINS.of("2001:db8:1::", None)
    assert len({of.address, of.network, ORIGINS.subject("2001:db8:1::")}) == 3


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Origins("k" * 31)


USER_AGENTS = {
    "as it is": ("Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)"),
    "none": (None, None),
    "empty": ("", None),
    "blank": (" \t ", None),
    "of controls": ("\0\r\n\x7f\x85", None),
    "with a line and a colour": ("curl\r\nSet-Cookie: a=b\x1b[31m", "curlSet-Cookie: a=b[31m"),
    "written backwards": ("\u202egp.exe", "gp.exe"),
    "with separators": ("a\u2028b\u2029c\u200bd\ufeff", "abcd"),
    "with half a character": ("a\ud800b", "ab"),
    "in other scripts": ("браузер ブラウザ 🦊", "браузер ブラウザ 🦊"),
    "blanks before and behind": ("  curl  ", "curl"),
    "blanks that crowd out the name": (" " * 1_000 + "curl", "curl"),
    "controls that crowd out the name": ("\x01" * 1_000 + "curl", "curl"),
    "long": ("x" * 100_000, "x" * USER_AGENT_MAX),
    "cut at a blank": ("x" * (USER_AGENT_MAX - 1) + " y", "x" * (USER_AGENT_MAX - 1)),
}


@pytest.mark.parametrize("case", USER_AGENTS.values(), ids=USER_AGENTS)
def test_a_user_agent_can_be_shown(case: tuple[str | None, str | None]) -> None:
    given, kept = case
    assert ORIGINS.of(None, given) == Origin(user_agent=kept)
