"""Passwords by bcrypt, tokens by PyJWT and HMAC, and where requests come from."""

from taskflow_security.common_passwords import ZxcvbnPasswords
from taskflow_security.forwarded import TrustedProxies, client_address
from taskflow_security.origins import Origins
from taskflow_security.passwords import BcryptPasswords
from taskflow_security.refresh_tokens import HmacRefreshTokens
from taskflow_security.tokens import JwtTokens

__all__ = [
    "BcryptPasswords",
    "HmacRefreshTokens",
    "JwtTokens",
    "Origins",
    "TrustedProxies",
    "ZxcvbnPasswords",
    "client_address",
]
