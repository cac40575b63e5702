"""Keys from the secrets that the operator sets: one for each purpose, so that none can stand for another."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SECRET_MIN: Final = 32
"""Bytes; RFC 7518 section 3.2 asks for no less than the hash has."""


def checked(secrets: Sequence[str]) -> list[bytes]:
    """Return the secrets as bytes, in the order given.

    Raises:
        ValueError: There is none, or one is too short.
    """
    keys = [secret.encode() for secret in secrets]
    if not keys or min(map(len, keys)) < SECRET_MIN:
        raise ValueError(f"There must be a secret, and each must have {SECRET_MIN} bytes or more.")
    return keys


def derived(secret: bytes, purpose: str) -> bytes:
    """Return the secret's key for one purpose, from which neither the secret nor another key can be told."""
    return hmac.digest(secret, f"taskflow {purpose}".encode(), hashlib.sha256)
