"""What is made of the signing secrets, a key for each purpose.

With several secrets everything that was made by any of them is still believed (access tokens, refresh tokens,
cursors), and the first makes what is new. Hashes are by the first alone, since they are compared and not
checked: with another first secret addresses count as not seen before and failed log-ins as forgotten.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from taskflow_bootstrap.settings import Settings
from taskflow_core import Attempt, Session
from taskflow_core.ports.security import AccessToken, AccessTokens, RefreshClaim, RefreshTokens, TokenClaims
from taskflow_security import HmacRefreshTokens, JwtTokens, Origins
from taskflow_security.keys import derived

ISSUER: Final = "taskflow"


def make_tokens(settings: Settings) -> AccessTokens:
    """Return what signs and checks access tokens."""
    if not settings.jwt_secret:
        return NoSecret(settings)
    lifetime = timedelta(seconds=settings.access_token_lifetime)
    return JwtTokens(settings.jwt_secret, issuer=ISSUER, audience=ISSUER, lifetime=lifetime)


def make_refresh_tokens(settings: Settings) -> RefreshTokens:
    """Return what makes and checks refresh tokens."""
    return HmacRefreshTokens(settings.jwt_secret) if settings.jwt_secret else NoSecret(settings)


def make_origins(settings: Settings) -> Origins:
    """Return what tells where requests come from."""
    settings.require("jwt_secret")
    return Origins(settings.jwt_secret[0])


def cursor_keys(settings: Settings) -> tuple[bytes, ...]:
    """Return the keys of cursors, the one that seals first."""
    return tuple(derived(secret.encode(), "cursors") for secret in settings.jwt_secret)


def attempts_key(settings: Settings) -> bytes:
    """Return the key by which those who try to log in are hashed."""
    return derived(settings.jwt_secret[0].encode(), "login attempts")


class NoSecret:
    """Stands where no secret is set, for tokens and attempts; what the CLI does works without."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def issue(self, claims: TokenClaims, now: datetime) -> AccessToken:
        """Raise `SettingsError`."""
        raise self._refused(claims, now)

    def check(self, token: str, now: datetime) -> TokenClaims:
        """Raise `SettingsError`."""
        raise self._refused(token, now)

    def new_seed(self) -> bytes:
        """Raise `SettingsError`."""
        raise self._refused()

    def of(self, session: Session) -> str:
        """Raise `SettingsError`."""
        raise self._refused(session)

    def read(self, token: str) -> RefreshClaim:
        """Raise `SettingsError`."""
        raise self._refused(token)

    def is_genuine(self, claim: RefreshClaim, seed: bytes) -> bool:
        """Raise `SettingsError`."""
        raise self._refused(claim, seed)

    async def begin(self, subject: str) -> Attempt:
        """Raise `SettingsError`."""
        raise self._refused(subject)

    async def succeeded(self, subject: str) -> None:
        """Raise `SettingsError`."""
        raise self._refused(subject)

    async def give_back(self, subject: str) -> None:
        """Raise `SettingsError`."""
        raise self._refused(subject)

    def _refused(self, *given: object) -> AssertionError:
        self._settings.require("jwt_secret")
        return AssertionError(given)
