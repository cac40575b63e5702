"""Passwords and tokens by the standard library alone."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from taskflow_core import Unauthenticated
from taskflow_core.ports.security import AccessToken, RefreshClaim

if TYPE_CHECKING:
    from datetime import datetime

    from taskflow_core import Session
    from taskflow_core.ports.security import TokenClaims

_SALT_BYTES: Final = 16
_SCHEME: Final = "scrypt-cheap"
_SEED_BYTES: Final = 32
_MAC_BYTES: Final = 32
# One way of writing each: session, generation, HMAC.
_TOKEN: Final = re.compile(
    r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([1-9][0-9]{0,8})\.([0-9a-f]{64})"
)
_COMMON: Final = frozenset({
    "12345678", "123456789", "1234567890", "password", "password1", "password123", "qwerty123", "iloveyou",
    "qwertyuiop", "11111111", "1q2w3e4r", "sunshine", "princess", "football", "baseball", "superman",
    "trustno1", "letmein1", "welcome1", "starwars", "computer", "whatever", "abcd1234", "passw0rd",
})  # fmt: skip


class MemoryPasswords:
    """Hashes by scrypt (port `PasswordHasher`), so cheaply that tests stay quick: not for real accounts."""

    async def hash(self, password: str) -> str:
        """Return a salted hash."""
        salt = secrets.token_bytes(_SALT_BYTES)
        digest = await asyncio.to_thread(_scrypt, password, salt)
        return f"{_SCHEME}${salt.hex()}${digest.hex()}"

    async def verify(self, password: str, hashed: str | None, *, signed_in: bool = False) -> bool:  # noqa: ARG002
        """Return whether `hashed` was made of `password`."""
        salt, expected = _parts(hashed)
        digest = await asyncio.to_thread(_scrypt, password, salt)
        return hmac.compare_digest(digest, expected)

    def is_outdated(self, hashed: str) -> bool:
        """Return whether `hashed` is none of these."""
        return not hashed.startswith(f"{_SCHEME}$")


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


class MemoryRefreshTokens:
    """Tokens of sessions by HMAC-SHA-256 (port `RefreshTokens`).

    Args:
        key: What makes them; whoever has it and a session's seed can make its tokens.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(_MAC_BYTES)

    def new_seed(self) -> bytes:
        """Return the randomness of a new session."""
        return secrets.token_bytes(_SEED_BYTES)

    def of(self, session: Session) -> str:
        """Return the token of the session's current generation."""
        mac = self._mac(session.id, session.generation, session.seed)
        return f"{session.id}.{session.generation}.{mac.hex()}"

    def read(self, token: str) -> RefreshClaim:
        """Return what a token says."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise Unauthenticated
        return RefreshClaim(UUID(found[1]), int(found[2]), bytes.fromhex(found[3]))

    def is_genuine(self, claim: RefreshClaim, seed: bytes) -> bool:
        """Return whether the token was made by this key for the session with this seed."""
        return hmac.compare_digest(claim.mac, self._mac(claim.session_id, claim.generation, seed))

    def _mac(self, session_id: UUID, generation: int, seed: bytes) -> bytes:
        message = session_id.bytes + generation.to_bytes(8, "big") + seed
        return hmac.digest(self._key, message, "sha256")


class MemoryCommonPasswords:
    """Knows a few common passwords (port `CommonPasswords`)."""

    def __contains__(self, password: object) -> bool:
        """Return whether a password is one of them, in whatever letter case."""
        return isinstance(password, str) and password.casefold() in _COMMON
