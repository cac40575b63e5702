"""Access tokens as JWT (RFC 7519), signed by HMAC with SHA-256."""

from __future__ import annotations

import math
import re
import secrets as randomness
from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import jwt

from taskflow_core.errors import Unauthenticated
from taskflow_core.ports.security import AccessToken, TokenClaims
from taskflow_security.keys import checked, derived

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from jwt.types import Options

_ALGORITHM: Final = "HS256"
_TYPE: Final = "access"
_REMEMBERED: Final = 10_000

# PyJWT also takes segments with padding: several ways to write one token, of which we remember one.
_SHAPE: Final = re.compile(r"[\w-]{1,300}\.[\w-]{1,1500}\.[\w-]{43}", re.ASCII)

_CLAIMS: Final = ["iss", "aud", "exp", "nbf", "iat", "jti", "sub", "sid", "typ"]
# Times are checked here, by the time that is given, and not by PyJWT, which reads the clock.
_OPTIONS: Final[Options] = {
    "require": _CLAIMS,
    "strict_aud": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "enforce_minimum_key_length": True,
}


class _Verified(NamedTuple):
    claims: TokenClaims
    begins: int
    ends: int

    def at(self, now: datetime) -> TokenClaims:
        if not self.begins <= now.timestamp() < self.ends:
            raise Unauthenticated
        return self.claims


class JwtTokens:
    """Signs and verifies tokens (port `AccessTokens`).

    Verified tokens are remembered, the latest 10,000 of them, since a signature costs more than the rest
    of a request's authentication; whether they are expired is asked each time.

    Args:
        secrets: Each of 32 bytes or more. The first signs, all verify: put a new one first, and take the old
            one away once what it signed has expired.
        issuer: Of whom tokens must be.
        audience: For whom they must be.
        lifetime: How long they are good for, in whole seconds.

    Raises:
        ValueError: No secret is given, or one that is too short.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        issuer: str = "taskflow",
        audience: str = "taskflow",
        lifetime: timedelta = timedelta(minutes=15),
    ) -> None:
        keys = checked(secrets)
        self._keys = {_key_id(key): key for key in keys}
        self._newest = _key_id(keys[0])
        self._issuer, self._audience = issuer, audience
        self._lifetime = int(lifetime.total_seconds())
        self._jwt = jwt.PyJWT({"enforce_minimum_key_length": True})
        self._verified: OrderedDict[str, _Verified] = OrderedDict()

    def issue(self, claims: TokenClaims, now: datetime) -> AccessToken:
        """Return a signed token."""
        begins = math.floor(now.timestamp())
        payload = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(claims.user_id),
            "sid": str(claims.session_id),
            "typ": _TYPE,
            "jti": randomness.token_urlsafe(16),
            "iat": begins,
            "nbf": begins,
            # In whole seconds, but never less than what is promised.
            "exp": math.ceil(now.timestamp()) + self._lifetime,
        }
        key = self._keys[self._newest]
        value = self._jwt.encode(payload, key, _ALGORITHM, headers={"kid": self._newest})
        return AccessToken(value, self._lifetime)

    def check(self, token: str, now: datetime) -> TokenClaims:
        """Return what the token says."""
        verified = self._verified.get(token)
        if verified is not None:
            return verified.at(now)
        verified = self._verify(token)
        claims = verified.at(now)
        self._verified[token] = verified
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)
        return claims

    def _verify(self, token: str) -> _Verified:
        try:
            return _verified(self._payload(token))
        except (jwt.PyJWTError, LookupError, TypeError, ValueError):
            # Why is nobody's business: whoever forges tokens would learn from it.
            raise Unauthenticated from None

    def _payload(self, token: str) -> dict[str, Any]:
        if not _SHAPE.fullmatch(token):
            raise ValueError
        key = self._keys[jwt.get_unverified_header(token)["kid"]]
        return self._jwt.decode(
            token, key, [_ALGORITHM], options=_OPTIONS, audience=self._audience, issuer=self._issuer
        )


def _verified(payload: dict[str, Any]) -> _Verified:
    begins, ends = payload["nbf"], payload["exp"]
    if payload["typ"] != _TYPE or type(begins) is not int or type(ends) is not int:
        raise ValueError
    return _Verified(TokenClaims(_id(payload["sub"]), _id(payload["sid"])), begins, ends)


def _id(text: object) -> UUID:
    """Return the id, which is written in one way only (RFC 9562 section 4)."""
    if not isinstance(text, str) or str(found := UUID(text)) != text:
        raise ValueError
    return found


def _key_id(key: bytes) -> str:
    """Return a name for the key that tells nothing of it."""
    return derived(key, "key id").hex()[:16]
