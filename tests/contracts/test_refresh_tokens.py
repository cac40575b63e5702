"""Refresh tokens: each is its session's and its generation's, and nothing else passes for one."""

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.samples import new_id, new_session
from taskflow_core import Session, Unauthenticated
from taskflow_core.ports.security import RefreshTokens
from taskflow_memory import MemoryRefreshTokens

SESSION = new_session(new_id(), generation=12, seed=bytes(range(32)))


@pytest.fixture(params=["memory", "hmac"])
def tokens(request: pytest.FixtureRequest) -> RefreshTokens:
    return made(request.param)


def made(kind: str) -> RefreshTokens:
    if kind == "memory":
        return MemoryRefreshTokens()
    from secrets import token_hex

    from taskflow_security import HmacRefreshTokens

    return HmacRefreshTokens([token_hex(32)])


def passes(tokens: RefreshTokens, token: str, session: Session = SESSION) -> bool:
    """Whether it would refresh the session, as the use case asks."""
    try:
        claim = tokens.read(token)
    except Unauthenticated:
        return False
    return claim.session_id == session.id and tokens.is_genuine(claim, session.seed)


@pytest.mark.parametrize("generation", [1, 2, 9, 10, 1_000_000])
def test_a_token_says_its_session_and_generation(tokens: RefreshTokens, generation: int) -> None:
    session = replace(SESSION, generation=generation)
    claim = tokens.read(tokens.of(session))
    assert (claim.session_id, claim.generation) == (session.id, generation)
    assert tokens.is_genuine(claim, session.seed)


def test_it_is_the_same_each_time(tokens: RefreshTokens) -> None:
    """So that a refresh repeated within the grace gets the very token that the first one got."""
    assert tokens.of(SESSION) == tokens.of(replace(SESSION))


def test_a_seed_is_new_each_time(tokens: RefreshTokens) -> None:
    seeds = {tokens.new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(seed) for seed in seeds} == {32}


def test_it_does_not_show_the_seed(tokens: RefreshTokens) -> None:
    token = tokens.of(SESSION)
    assert SESSION.seed.hex() not in token
    assert tokens.read(token).mac != SESSION.seed


@pytest.mark.parametrize(
    "other",
    [
        replace(SESSION, seed=bytes(32)),
        replace(SESSION, seed=SESSION.seed[:-1]),
        replace(SESSION, id=new_id()),
        replace(SESSION, generation=13),
        replace(SESSION, generation=1),
    ],
    ids=["seed", "shorter seed", "id", "next generation", "first generation"],
)
def test_the_mac_of_another_is_none_of_this(tokens: RefreshTokens, other: Session) -> None:
    mine, theirs = tokens.read(tokens.of(SESSION)), tokens.read(tokens.of(other))
    assert not tokens.is_genuine(replace(mine, mac=theirs.mac), SESSION.seed)


@pytest.mark.parametrize("kind", ["memory", "hmac"])
def test_those_of_another_key_are_not_genuine(kind: str) -> None:
    mine, theirs = made(kind), made(kind)
    assert not passes(mine, theirs.of(SESSION))


def test_a_mac_that_is_shorter_or_longer_is_not_genuine(tokens: RefreshTokens) -> None:
    claim = tokens.read(tokens.of(SESSION))
    for mac in (b"", claim.mac[:-1], claim.mac + b"\0", claim.mac * 2):
        assert not tokens.is_genuine(replace(claim, mac=mac), SESSION.seed)


def test_a_token_in_which_any_character_was_changed_is_refused(tokens: RefreshTokens) -> None:
    token = tokens.of(SESSION)
    others = string.ascii_letters + string.digits + "-_.=+/ \0\né\u0660\uff11"
    changed = {token[:at] + c + token[at + 1 :] for at in range(len(token)) for c in others}
    changed |= {token[:at] + c + token[at:] for at in range(len(token) + 1) for c in others}
    changed |= {token[:at] + token[at + 1 :] for at in range(len(token))}
    changed |= {token[:at] for at in range(len(token))} | {token[at:] for at in range(1, len(token))}
    changed |= {token.upper(), token.lower(), token * 2, token[::-1]}
    assert [each for each in changed - {token} if passes(tokens, each)] == []


@given(st.data())
def test_no_other_text_of_its_shape_passes(data: st.DataObject) -> None:
    for kind in ("memory", "hmac"):
        tokens = made(kind)
        token = tokens.of(SESSION)
        start = data.draw(st.integers(0, len(token) - 1))
        end = data.draw(st.integers(start, len(token)))
        put = data.draw(st.text(st.characters(codec="utf-8") | st.sampled_from(token), max_size=45))
        changed = token[:start] + put + token[end:]
        assert passes(tokens, changed) is (changed == token)


@pytest.mark.parametrize(
    "generation",
    [
        "",
        "0",
        "-1",
        "+1",
        "012",
        " 12",
        "12 ",
        "1_2",
        "1e1",
        "0x1",
        "12.0",
        "\u0661\u0662",
        "\uff11\uff12",
        "\u00b2",
    ]
    + ["1" + "0" * zeros for zeros in (19, 100, 5_000)],
)
def test_a_generation_is_a_plain_number(tokens: RefreshTokens, generation: str) -> None:
    session_id, _, mac = tokens.of(SESSION).split(".")
    with pytest.raises(Unauthenticated):
        tokens.read(f"{session_id}.{generation}.{mac}")


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b.c", "\0", "\ud800", "é.1.é", "x" * 100_000, "." * 100_000, "e30.e30."],
)
def test_garbage_is_refused(tokens: RefreshTokens, token: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        tokens.read(token)
    assert caught.value.detail == Unauthenticated.default_detail
