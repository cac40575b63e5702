"""Passwords and tokens by the standard library alone."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskflow_core import Unauthenticated
from taskflow_core.ports.security import AccessToken

if TYPE_CHECKING:
    from datetime import datetime

    from taskflow_core.ports.security import TokenClaims

_SALT_BYTES: Final = 16
_SCHEME: Final = "scrypt-cheap"


class MemoryPasswords:
    """Hashes by scrypt (port `PasswordHasher`), so cheaply that tests stay quick: not for real accounts."""

    async def hash(self, password: str) -> str:
        """Return a salted hash."""
        salt = secrets.token_bytes(_SALT_BYTES)
        digest = await asyncio.to_thread(_scrypt, password, salt)
        return f"{_SCHEME}${salt.hex()}${digest.hex()}"

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Return whether `hashed` was made of `password`."""
        salt, expected = _parts(hashed)
        digest = await asyncio.to_thread(_scrypt, password, salt)
        return hmac.compare_digest(digest, expected)


def _parts(hashed: str | None) -> tuple[bytes, bytes]:
    """Return salt and digest; where there are none, some salt and a digest that nothing has."""
    scheme, _, rest = (hashed or "").partition("$")
    salt, _, digest = rest.partition("$")
    try:
        if scheme == _SCHEME:
            return bytes.fromhex(salt), bytes.fromhex(digest)
    except ValueError:
        pass
    return bytes(_SALT_BYTES), b""


def _scrypt(password: str, salt: bytes) -> bytes:
    # scrypt alone takes a password and the same with NULs behind it for one: its HMAC pads with them.
    digest = hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest()
    return hashlib.scrypt(digest, salt=salt, n=16, r=8, p=1)


class MemoryTokens:
    """Random tokens (port `AccessTokens`) that this object alone knows."""

    def __init__(self, lifetime: timedelta = timedelta(minutes=15)) -> None:
        self._lifetime = lifetime
        self._issued: dict[str, tuple[TokenClaims, datetime]] = {}

    def issue(self, claims: TokenClaims, now: datetime) -> AccessToken:
        """Return a token; those that are expired by now are forgotten."""
        live = {t: (c, start) for t, (c, start) in self._issued.items() if now < start + self._lifetime}
        value = secrets.token_urlsafe()
        self._issued = live | {value: (claims, now)}
        return AccessToken(value, int(self._lifetime.total_seconds()))

    def check(self, token: str, now: datetime) -> TokenClaims:
        """Return what the token was issued for."""
        claims, start = self._issued.get(token, (None, now))
        if claims is None or not start <= now < start + self._lifetime:
            raise Unauthenticated
        return claims
