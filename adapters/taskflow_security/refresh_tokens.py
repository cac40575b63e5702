"""Refresh tokens: made of the session and a secret, so that none needs to be kept.

`sid.generation.MAC`: the session's id in 32 hexadecimal digits, the generation in decimal, and the
HMAC-SHA-256 over both and the session's seed in base64url without padding. Each token is written in one
way only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets as randomness
from typing import TYPE_CHECKING, Final
from uuid import UUID

from taskflow_core.errors import Unauthenticated
from taskflow_core.ports.security import RefreshClaim
from taskflow_security.keys import checked, derived

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskflow_core.sessions import Session

_SEED_BYTES: Final = 32
_GENERATION_BYTES: Final = 8
# The last character of a MAC stands for four bits, and two that must be zero.
_SHAPE: Final = re.compile(
    r"([0-9a-f]{32})\.([1-9][0-9]{0,8})\.([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])", re.ASCII
)


class HmacRefreshTokens:
    """Makes refresh tokens and knows them again (port `RefreshTokens`).

    Args:
        secrets: Each of 32 bytes or more. The first makes tokens, all know them: put a new one first, and
            take the old one away after 30 days, when whoever did not refresh since is logged out anyway.

    Raises:
        ValueError: No secret is given, or one that is too short.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [derived(secret, "refresh token") for secret in checked(secrets)]

    def new_seed(self) -> bytes:
        """Return 32 random bytes."""
        return randomness.token_bytes(_SEED_BYTES)

    def of(self, session: Session) -> str:
        """Return the token of the session's current generation."""
        mac = _mac(self._keys[0], session.id, session.generation, session.seed)
        written = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
        return f"{session.id.hex}.{session.generation}.{written}"

    def read(self, token: str) -> RefreshClaim:
        """Return what a token says."""
        found = _SHAPE.fullmatch(token)
        if found is None:
            raise Unauthenticated
        session_id, generation, mac = found.groups()
        return RefreshClaim(UUID(session_id), int(generation), base64.urlsafe_b64decode(mac + "="))

    def is_genuine(self, claim: RefreshClaim, seed: bytes) -> bool:
        """Return whether one of our keys made it; all are tried, so that the time does not show which."""
        genuine = False
        for key in self._keys:
            mac = _mac(key, claim.session_id, claim.generation, seed)
            genuine |= hmac.compare_digest(mac, claim.mac)
        return genuine


def _mac(key: bytes, session_id: UUID, generation: int, seed: bytes) -> bytes:
    # The first two are of fixed length: no two messages run together into one.
    message = session_id.bytes + generation.to_bytes(_GENERATION_BYTES, "big") + seed
    return hmac.digest(key, message, hashlib.sha256)
