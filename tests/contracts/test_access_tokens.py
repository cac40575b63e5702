"""Access tokens: they say what they were issued for, until they expire; nobody else's say anything."""

import string
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from support.samples import NOW, new_id
from taskflow_core import Unauthenticated
from taskflow_core.ports.security import AccessTokens, TokenClaims
from taskflow_memory import MemoryTokens

MILLISECOND = timedelta(milliseconds=1)
Make = Callable[[], AccessTokens]


def jwt_tokens() -> AccessTokens:
    from secrets import token_hex

    from taskflow_security import JwtTokens

    return JwtTokens([token_hex(32)])


@pytest.fixture(params=["memory", "jwt"])
def make(request: pytest.FixtureRequest) -> Make:
    """What makes an issuer that shares nothing with the others."""
    return MemoryTokens if request.param == "memory" else jwt_tokens


@pytest.fixture
def tokens(make: Make) -> AccessTokens:
    return make()


CLAIMS = TokenClaims(new_id(), new_id())


def test_a_token_says_what_it_was_issued_for(tokens: AccessTokens) -> None:
    for claims in (CLAIMS, TokenClaims(new_id(), CLAIMS.session_id), TokenClaims(CLAIMS.user_id, new_id())):
        token = tokens.issue(claims, NOW).value
        for _ in range(2):
            assert tokens.check(token, NOW) == claims


@pytest.mark.parametrize("begins", [NOW, NOW.replace(microsecond=0), NOW.replace(microsecond=999_000)])
def test_it_is_good_from_the_moment_it_is_issued_for_as_long_as_it_says(
    tokens: AccessTokens, begins: datetime
) -> None:
    token = tokens.issue(CLAIMS, begins)
    assert token.expires_in == 15 * 60
    ends = begins + timedelta(seconds=token.expires_in)
    for now in (begins, begins + timedelta(minutes=7), ends - MILLISECOND):
        assert tokens.check(token.value, now) == CLAIMS


@pytest.mark.parametrize("seen_before", [False, True])
def test_it_ends_within_the_next_second_for_good(tokens: AccessTokens, *, seen_before: bool) -> None:
    token = tokens.issue(CLAIMS, NOW)
    if seen_before:
        tokens.check(token.value, NOW)
    ends = NOW + timedelta(seconds=token.expires_in)
    for after in (timedelta(seconds=1), timedelta(hours=1), timedelta(days=10_000)):
        with pytest.raises(Unauthenticated):
            tokens.check(token.value, ends + after)


@pytest.mark.parametrize("seen_before", [False, True])
def test_it_is_not_good_before_it_was_issued(tokens: AccessTokens, *, seen_before: bool) -> None:
    token = tokens.issue(CLAIMS, NOW).value
    if seen_before:
        tokens.check(token, NOW)
    with pytest.raises(Unauthenticated):
        tokens.check(token, NOW - timedelta(seconds=1))


def test_what_was_expired_may_be_asked_again_and_others_are_good(tokens: AccessTokens) -> None:
    old = tokens.issue(CLAIMS, NOW - timedelta(days=1)).value
    new = tokens.issue(CLAIMS, NOW).value
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            tokens.check(old, NOW)
        assert tokens.check(new, NOW) == CLAIMS


def test_every_token_is_another(tokens: AccessTokens) -> None:
    assert len({tokens.issue(CLAIMS, NOW).value for _ in range(100)}) == 100


def test_those_of_another_issuer_are_not_believed(make: Make) -> None:
    mine, theirs = make(), make()
    with pytest.raises(Unauthenticated):
        mine.check(theirs.issue(CLAIMS, NOW).value, NOW)


@pytest.mark.parametrize("seen_before", [False, True])
def test_a_token_in_which_any_character_was_changed_is_not_believed(
    tokens: AccessTokens, *, seen_before: bool
) -> None:
    token = tokens.issue(CLAIMS, NOW).value
    if seen_before:
        tokens.check(token, NOW)
    others = string.ascii_letters + string.digits + "-_.= \0é"
    changed = [token[:at] + c + token[at + 1 :] for at in range(len(token)) for c in others]
    changed += [token[:at] for at in range(len(token))]
    changed += [token + c for c in others] + [c + token for c in others]
    changed += [token.lower(), token.upper(), token + "\n", token * 2, token[::-1]]
    assert [each for each in changed if each != token and believed(tokens, each)] == []


def believed(tokens: AccessTokens, token: str) -> bool:
    try:
        tokens.check(token, NOW)
    except Unauthenticated:
        return False
    return True


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "a.b.c", "\0", "\ud800", "é.é.é", "x" * 100_000, "e30.e30."]
)
def test_garbage_is_not_believed(tokens: AccessTokens, token: str) -> None:
    with pytest.raises(Unauthenticated):
        tokens.check(token, NOW)
