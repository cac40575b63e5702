"""What `HmacRefreshTokens` does beyond its port: several secrets, and keys that serve one purpose each."""

import base64
import hashlib
import hmac

import pytest

from support.samples import NOW, new_id, new_session
from taskflow_core import Session, Unauthenticated
from taskflow_core.ports.security import TokenClaims
from taskflow_security import HmacRefreshTokens, JwtTokens

SECRET, OLD_SECRET = "new-" + "s" * 32, "old-" + "s" * 32
SESSION = new_session(new_id(), generation=7)


def passes(tokens: HmacRefreshTokens, token: str, session: Session = SESSION) -> bool:
    return tokens.is_genuine(tokens.read(token), session.seed)


def test_the_newest_secret_makes_them_and_the_older_ones_still_know_theirs() -> None:
    before, between, after = (
        HmacRefreshTokens(secrets) for secrets in ([OLD_SECRET], [SECRET, OLD_SECRET], [SECRET])
    )
    old, new = before.of(SESSION), between.of(SESSION)
    assert new == after.of(SESSION) != old
    assert passes(between, old)
    assert passes(between, new)
    assert passes(after, new)
    assert not passes(before, new)
    assert not passes(after, old)


def test_every_secret_is_tried_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = HmacRefreshTokens([SECRET, OLD_SECRET, "older-" + "s" * 32])
    claim = tokens.read(tokens.of(SESSION))
    compared: list[bytes] = []
    real = hmac.compare_digest

    def watched(ours: bytes, given: bytes) -> bool:
        compared.append(ours)
        return real(ours, given)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    assert tokens.is_genuine(claim, SESSION.seed)
    assert len(set(compared)) == 3


@pytest.mark.parametrize("secrets", [[], [""], ["s" * 31], [SECRET, "short"]])
def test_a_secret_must_be_there_and_long_enough(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        HmacRefreshTokens(secrets)


def test_it_is_made_as_it_is_written_down() -> None:
    key = hmac.digest(SECRET.encode(), b"taskflow refresh token", hashlib.sha256)
    message = SESSION.id.bytes + (7).to_bytes(8, "big") + SESSION.seed
    mac = base64.urlsafe_b64encode(hmac.digest(key, message, hashlib.sha256)).decode().rstrip("=")
    assert HmacRefreshTokens([SECRET]).of(SESSION) == f"{SESSION.id.hex}.7.{mac}"


def test_what_is_signed_by_the_secret_itself_is_not_genuine() -> None:
    tokens = HmacRefreshTokens([SECRET])
    message = SESSION.id.bytes + (7).to_bytes(8, "big") + SESSION.seed
    mac = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), message, hashlib.sha256)).decode()
    assert not passes(tokens, f"{SESSION.id.hex}.7.{mac.rstrip('=')}")


def test_a_mac_is_written_in_one_way_only() -> None:
    tokens = HmacRefreshTokens([SECRET])
    token = tokens.of(SESSION)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(token[-1])
    for spare in (1, 2, 3):
        same = token[:-1] + alphabet[last + spare]
        bits = base64.urlsafe_b64decode(same.rpartition(".")[2] + "=")
        assert bits == tokens.read(token).mac
        with pytest.raises(Unauthenticated):
            tokens.read(same)


def test_an_access_token_is_no_refresh_token_nor_the_other_way_round() -> None:
    refresh, access = HmacRefreshTokens([SECRET]), JwtTokens([SECRET])
    with pytest.raises(Unauthenticated):
        refresh.read(access.issue(TokenClaims(SESSION.user_id, SESSION.id), NOW).value)
    with pytest.raises(Unauthenticated):
        access.check(refresh.of(SESSION), NOW)
