"""Keeps secrets out of logs: by the names they stand under, and by how they look.

The last line of defence: nothing is logged on purpose that this would have to hide.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import WrappedLogger

HIDDEN: Final = "[redacted]"
_DEPTH_MAX: Final = 6
"""What is nested deeper is not shown at all."""

_NAMES: Final = r"(?:passw(?:or)?d|passphrase|secret|token|authorization|cookie|credential|api[-_]?key)"
_is_secret: Final = functools.lru_cache(1000)(re.compile(_NAMES, re.IGNORECASE).search)

_WHOLE: Final = re.compile(
    # A JWT, or what is left of one that was cut off.
    r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}"
    # A refresh token: session, generation, MAC.
    r"|[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\.[0-9]{1,9}\.[\w-]{20,}"
    # A password's hash.
    r"|\$2[abxy]\$\d\d\$[./0-9A-Za-z]{20,}"
)
_VALUE: Final = r"""(?:(?:bearer|basic)[ ]+)?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&)}\]"']+)"""
_BEHIND: Final = re.compile(
    # What stands behind its own name: in header fields, query strings, connection strings, JSON, reprs.
    rf"""({_NAMES}\w{{0,20}}["']?\s{{0,3}}[:=]\s{{0,3}}|\b(?:bearer|basic)[ ]+){_VALUE}"""
    # The credentials of a URL.
    r"|(://)[^\s/@]*@",
    re.IGNORECASE,
)
_HINTS: Final = (
    "eyj", "$2", "://", "bearer", "basic", "pass", "secret", "token", "authorization", "cookie", "credential",
    "api",
)  # fmt: skip
_middle_of_a_token: Final = re.compile(r"\.[0-9]{1,9}\.").search


def redact(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide what is secret in an event (a structlog processor; to come after stacks are texts)."""
    for name, value in event.items():
        event[name] = _value(name, value, 0)
    return event


def may_hide(text: str) -> bool:
    """Tell of most lines of a log, quickly, that there is nothing to look for; names count too."""
    lowered = text.lower()
    for hint in _HINTS:
        if hint in lowered:
            return True
    return _middle_of_a_token(text) is not None


def redacted(text: str) -> str:
    """Return a text without what looks like a secret in it."""
    if not may_hide(text):
        return text
    hidden = _WHOLE.sub(HIDDEN, text)
    return _BEHIND.sub(lambda found: f"{found[1]}{HIDDEN}" if found[1] else f"{found[2]}{HIDDEN}@", hidden)


def _value(name: object, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if (isinstance(name, str) and _is_secret(name)) or depth > _DEPTH_MAX:
        return HIDDEN
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: _value(key, inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(None, inner, depth + 1) for inner in value]
    return _Shown(value)


class _Shown:
    """Anything else, which is rendered by its repr: that is redacted once it is."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return redacted(repr(self._value))
