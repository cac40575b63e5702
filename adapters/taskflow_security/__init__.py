"""Passwords by bcrypt, tokens by PyJWT."""

from taskflow_security.passwords import BcryptPasswords
from taskflow_security.tokens import JwtTokens

__all__ = ["BcryptPasswords", "JwtTokens"]
