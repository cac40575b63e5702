"""Header fields that tell browsers what they may do with an answer (OWASP REST security; ASVS 5.0 V3.4).

Constants of our own: what a library for them gives is these strings, by more words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from taskflow_http.replies import Headers

NOTHING: Final = b"default-src 'none'; frame-ancestors 'none'"
"""The content security policy of what is data: it loads nothing, and nothing frames it."""
PAGE: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of the page: its own files, no inline script or style (what scripts set on an element's style passes)."""
_NO_FEATURES: Final = (
    b"accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
    b"microphone=(), payment=(), usb=()"
)


def security_fields(content_security_policy: bytes, hsts_seconds: int) -> Headers:
    """Return the fields of an answer.

    Args:
        content_security_policy: `NOTHING` or `PAGE`.
        hsts_seconds: How long browsers are to come by TLS only (RFC 6797); zero tells them nothing.
    """
    fields = [
        (b"content-security-policy", content_security_policy),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"permissions-policy", _NO_FEATURES),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
    ]
    if content_security_policy is PAGE:
        fields.append((b"cross-origin-opener-policy", b"same-origin"))
    if hsts_seconds:
        fields.append((b"strict-transport-security", b"max-age=%d" % hsts_seconds))
    return fields
