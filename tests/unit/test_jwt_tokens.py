"""What `JwtTokens` refuses: every way known to make somebody else's token pass for ours."""

import base64
import hashlib
import hmac
import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from jwt.types import Options

from support.samples import NOW, new_id, new_session
from taskflow_core import Unauthenticated
from taskflow_core.ports.security import TokenClaims
from taskflow_security import HmacRefreshTokens, JwtTokens, tokens
from taskflow_security.keys import derived

SECRET, OLD_SECRET = "new-" + "s" * 32, "old-" + "s" * 32
FOREIGN = "foreign-" + "s" * 32
CLAIMS = TokenClaims(new_id(), new_id())
SECONDS = int(NOW.timestamp())
SESSION = new_session(CLAIMS.user_id, id=CLAIMS.session_id, generation=12)


@pytest.fixture
def ours() -> JwtTokens:
    return JwtTokens([SECRET, OLD_SECRET])


def key_id(secret: str = SECRET) -> str:
    return str(jwt.get_unverified_header(JwtTokens([secret]).issue(CLAIMS, NOW).value)["kid"])


PAYLOAD: dict[str, Any] = {
    "iss": "taskflow",
    "aud": "taskflow",
    "sub": str(CLAIMS.user_id),
    "sid": str(CLAIMS.session_id),
    "typ": "access",
    "jti": "1",
    "iat": SECONDS,
    "nbf": SECONDS,
    "exp": SECONDS + 60,
}


def encoded(part: object) -> bytes:
    return base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).rstrip(
        b"="
    )


def signed(
    payload: object, header: object = None, *, secret: str | bytes = SECRET, digest: Any = hashlib.sha256
) -> str:
    """A token made by hand, since PyJWT refuses to make most of these."""
    body = encoded(header or {"alg": "HS256", "typ": "JWT", "kid": key_id()}) + b"." + encoded(payload)
    key = secret.encode() if isinstance(secret, str) else secret
    return (body + b"." + encoded(hmac.digest(key, body, digest))).decode()


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in PAYLOAD.items() if key != name}


def header(**given: Any) -> dict[str, Any]:
    return {"alg": "HS256", "typ": "JWT", "kid": key_id()} | given


def test_one_made_by_hand_as_ours_are_is_believed(ours: JwtTokens) -> None:
    assert ours.check(signed(PAYLOAD), NOW) == CLAIMS
    assert ours.check(signed(PAYLOAD, header(kid=key_id(OLD_SECRET)), secret=OLD_SECRET), NOW) == CLAIMS


DIFFERENT: dict[str, Mapping[str, Any]] = {
    "expired": PAYLOAD | {"exp": SECONDS},
    "not yet valid": PAYLOAD | {"nbf": SECONDS + 1},
    "expires as text": PAYLOAD | {"exp": str(SECONDS + 60)},
    "expires as a boolean": PAYLOAD | {"exp": True, "nbf": False},
    "expires never": PAYLOAD | {"exp": None},
    "expires at infinity": PAYLOAD | {"exp": float("inf")},
    "expires at no number": PAYLOAD | {"exp": float("nan")},
    "begins at no number": PAYLOAD | {"nbf": float("nan")},
    "begins as a list": PAYLOAD | {"nbf": []},
    "another audience": PAYLOAD | {"aud": "taskflow2"},
    "several audiences": PAYLOAD | {"aud": ["taskflow", "other"]},
    "an audience in another case": PAYLOAD | {"aud": "TaskFlow"},
    "another issuer": PAYLOAD | {"iss": "taskflow.example"},
    "an issuer as a list": PAYLOAD | {"iss": ["taskflow"]},
    "another type": PAYLOAD | {"typ": "refresh"},
    "a type as a list": PAYLOAD | {"typ": ["access"]},
    "a session that is no id": PAYLOAD | {"sid": "current"},
    "no session": PAYLOAD | {"sid": None},
    "an empty session": PAYLOAD | {"sid": ""},
    "a session as a number": PAYLOAD | {"sid": CLAIMS.session_id.int},
    "a session as a list": PAYLOAD | {"sid": [str(CLAIMS.session_id)]},
    "a session as an object": PAYLOAD | {"sid": {}},
    "a session in braces": PAYLOAD | {"sid": f"{{{CLAIMS.session_id}}}"},
    "a session in capitals": PAYLOAD | {"sid": str(CLAIMS.session_id).upper()},
    "a session without hyphens": PAYLOAD | {"sid": CLAIMS.session_id.hex},
    "a session with a line behind": PAYLOAD | {"sid": f"{CLAIMS.session_id}\n"},
    "a subject that is no id": PAYLOAD | {"sub": "admin@example.com"},
    "a subject as a number": PAYLOAD | {"sub": 1},
    "no subject": PAYLOAD | {"sub": None},
    "an empty subject": PAYLOAD | {"sub": ""},
    "a subject in capitals": PAYLOAD | {"sub": str(CLAIMS.user_id).upper()},
    "an id as a number": PAYLOAD | {"jti": 1},
} | {f"without {name}": without(name) for name in PAYLOAD}


@pytest.mark.parametrize("payload", DIFFERENT.values(), ids=DIFFERENT)
def test_it_must_say_what_ours_say(ours: JwtTokens, payload: Mapping[str, Any]) -> None:
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            ours.check(signed(payload), NOW)


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'"text"', b"{", b"\xff\xfe", b"[" * 1_000, b"NaN"])
def test_it_must_say_it_as_an_object(ours: JwtTokens, payload: bytes) -> None:
    with pytest.raises(Unauthenticated):
        ours.check(signed(payload), NOW)


FORGED: dict[str, str] = {
    "algorithm none": signed(PAYLOAD, header(alg="none")),
    "algorithm none without signature": signed(PAYLOAD, header(alg="none")).rpartition(".")[0] + ".",
    "algorithm None": signed(PAYLOAD, header(alg="None")),
    "no algorithm": signed(PAYLOAD, {"typ": "JWT", "kid": key_id()}),
    "an algorithm as null": signed(PAYLOAD, header(alg=None)),
    "an algorithm as a list": signed(PAYLOAD, header(alg=["HS256"])),
    "HS384 with our key": signed(PAYLOAD, header(alg="HS384"), digest=hashlib.sha384),
    "HS512 with our key": signed(PAYLOAD, header(alg="HS512"), digest=hashlib.sha512),
    "RS256": signed(PAYLOAD, header(alg="RS256")),
    "a digest cut to SHA-256's size": signed(PAYLOAD, header(alg="HS512")),
    "no key id": signed(PAYLOAD, {"alg": "HS256", "typ": "JWT"}),
    "an unknown key id": signed(PAYLOAD, header(kid="0" * 16)),
    "an empty key id": signed(PAYLOAD, header(kid="")),
    "a key id as a number": signed(PAYLOAD, header(kid=0)),
    "a key id as a list": signed(PAYLOAD, header(kid=[key_id()])),
    "a key id as a path": signed(PAYLOAD, header(kid="../../dev/null"), secret=""),
    "another's key under its key id": signed(PAYLOAD, header(kid=key_id(FOREIGN)), secret=FOREIGN),
    "another's key under our key id": signed(PAYLOAD, secret=FOREIGN),
    "our old key under our new key id": signed(PAYLOAD, secret=OLD_SECRET),
    "the key id as the key": signed(PAYLOAD, secret=key_id()),
    "no key": signed(PAYLOAD, secret=""),
    "a key in the header": signed(
        PAYLOAD, header(jwk={"kty": "oct", "k": encoded(FOREIGN.encode()).decode()}), secret=FOREIGN
    ),
    "a critical extension": signed(PAYLOAD, header(crit=["exp"])),
    "an unencoded payload": signed(PAYLOAD, header(b64=False, crit=["b64"])),
    "a header that is a list": signed(PAYLOAD, [1]),
    "a header that is text": signed(PAYLOAD, "alg"),
    "no signature": signed(PAYLOAD).rpartition(".")[0] + ".",
    "two segments": signed(PAYLOAD).rpartition(".")[0],
    "four segments": signed(PAYLOAD) + ".e30",
    "encrypted, five segments": ".".join(["e30"] * 5),
    "padded": signed(PAYLOAD) + "=",
    "in other base64": signed(PAYLOAD | {"x": "??>>"}).replace("_", "/").replace("-", "+") + "+",
    "a blank in the signature": signed(PAYLOAD)[:-5] + " " + signed(PAYLOAD)[-5:],
    "a refresh token": HmacRefreshTokens([SECRET]).of(SESSION),
    "a refresh token of a first generation": HmacRefreshTokens([SECRET]).of(replace(SESSION, generation=1)),
    "a payload signed with the refresh tokens' key": signed(
        PAYLOAD, secret=derived(SECRET.encode(), "refresh token")
    ),
    "with its scheme": "Bearer " + signed(PAYLOAD),
    "enormous": signed(PAYLOAD | {"x": "x" * 10_000}),
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_it_must_be_signed_by_us_as_we_sign(ours: JwtTokens, token: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        ours.check(token, NOW)
    assert caught.value.detail == Unauthenticated.default_detail
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_payload_under_anothers_signature_is_refused(ours: JwtTokens) -> None:
    first, second = (ours.issue(CLAIMS, NOW).value.split(".") for _ in range(2))
    with pytest.raises(Unauthenticated):
        ours.check(".".join([*first[:2], second[2]]), NOW)


def test_a_signature_is_written_in_one_way_only(ours: JwtTokens) -> None:
    token = ours.issue(CLAIMS, NOW).value
    padded = token + "="
    times_aside: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    assert jwt.decode(padded, SECRET, ["HS256"], audience="taskflow", options=times_aside)
    with pytest.raises(Unauthenticated):
        ours.check(padded, NOW)


def test_whatever_role_a_token_claims_is_not_read(ours: JwtTokens) -> None:
    assert ours.check(signed(PAYLOAD | {"role": "admin"}), NOW) == CLAIMS


def test_the_clock_of_the_machine_does_not_matter() -> None:
    for time in (NOW - timedelta(days=20_000), NOW + timedelta(days=20_000)):
        ours = JwtTokens([SECRET])
        assert ours.check(ours.issue(CLAIMS, time).value, time) == CLAIMS


def test_a_token_holds_what_others_may_want_to_check(ours: JwtTokens) -> None:
    token = ours.issue(CLAIMS, NOW).value
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": key_id()}
    payload = jwt.decode(token, options={"verify_signature": False})
    jti = payload.pop("jti")
    assert len(jti) >= 16
    # NOW has a fraction of a second: the end is rounded up, so that `expires_in` is never too much.
    assert payload == without("jti") | {"exp": SECONDS + 1 + 15 * 60}


def test_the_newest_secret_signs_and_the_older_ones_still_verify() -> None:
    before, between, after = JwtTokens([OLD_SECRET]), JwtTokens([SECRET, OLD_SECRET]), JwtTokens([SECRET])
    old, new = before.issue(CLAIMS, NOW).value, between.issue(CLAIMS, NOW).value
    assert between.check(old, NOW) == CLAIMS
    assert after.check(new, NOW) == CLAIMS
    for issuer, token in ((before, new), (after, old)):
        with pytest.raises(Unauthenticated):
            issuer.check(token, NOW)


def test_a_key_id_does_not_show_the_key() -> None:
    shown = key_id()
    assert shown not in {SECRET[:16], hashlib.sha256(SECRET.encode()).hexdigest()[:16]}
    assert len(shown) == 16


@pytest.mark.parametrize("secrets", [[], [""], ["s" * 31], [SECRET, "short"], ["short", SECRET]])
def test_a_secret_must_be_there_and_long_enough(secrets: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="32 bytes"):
            JwtTokens(secrets)


def test_its_bytes_are_what_counts() -> None:
    assert JwtTokens(["é" * 16]).issue(CLAIMS, NOW).value


def test_issuer_audience_and_lifetime_are_settings() -> None:
    ours = JwtTokens([SECRET], issuer="a", audience="b", lifetime=timedelta(seconds=5))
    token = ours.issue(CLAIMS, NOW)
    assert token.expires_in == 5
    assert ours.check(token.value, NOW + timedelta(seconds=4)) == CLAIMS
    with pytest.raises(Unauthenticated):
        ours.check(token.value, NOW + timedelta(seconds=6))
    for other in (JwtTokens([SECRET], issuer="a"), JwtTokens([SECRET], audience="b")):
        with pytest.raises(Unauthenticated):
            other.check(token.value, NOW)


class TestMemory:
    def test_a_verified_token_is_not_verified_again(
        self, ours: JwtTokens, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = ours.issue(CLAIMS, NOW).value
        verified: list[str] = []
        real = JwtTokens._payload

        def watched(self: JwtTokens, token: str) -> dict[str, Any]:
            verified.append(token)
            return real(self, token)

        monkeypatch.setattr(JwtTokens, "_payload", watched)
        assert [ours.check(token, NOW) for _ in range(3)] == [CLAIMS] * 3
        assert verified == [token]

    def test_what_is_refused_is_not_remembered(self, ours: JwtTokens) -> None:
        expired = ours.issue(CLAIMS, NOW - timedelta(days=1)).value
        for token in (*FORGED.values(), expired):
            with pytest.raises(Unauthenticated):
                ours.check(token, NOW)
        assert len(ours._verified) == 0

    def test_it_is_bounded_and_forgets_the_oldest(
        self, ours: JwtTokens, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tokens, "_REMEMBERED", 3)
        issued = [ours.issue(CLAIMS, NOW).value for _ in range(5)]
        for token in issued:
            ours.check(token, NOW)
        assert list(ours._verified) == issued[2:]
        assert ours.check(issued[0], NOW) == CLAIMS
