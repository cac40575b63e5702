"""Conditional requests (RFC 9110 section 13) over versions: an entity tag is `"<version>"`, always strong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from taskflow_core import VersionMismatch
from taskflow_http.errors import MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from taskflow_http.calls import Call

R = TypeVar("R")

TAGS_MAX: Final = 8
_NO_VERSION: Final = 0
"""Versions begin at 1, so that this one fails for everything."""

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_list_of_tags: Final = re.compile(rf"[ \t]*{_TAG}(?:[ \t]*,[ \t]*{_TAG})*[ \t]*").fullmatch
_tags: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"').findall
_version: Final = re.compile(r"[1-9][0-9]{0,17}").fullmatch

HEADER_PATTERN: Final = r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*"){0,7})$'
"""What a client sends in `If-Match` or `If-None-Match`."""


def etag(version: int) -> tuple[bytes, bytes]:
    """Return the header field that shows a version."""
    return b"etag", b'"%d"' % version


def is_known(call: Call, version: int) -> bool:
    """Return whether the client has this version already (`If-None-Match`, by weak comparison)."""
    given = call.header(b"if-none-match")
    if given is None:
        return False
    tags = _parsed(given, "If-None-Match")
    return tags is None or any(opaque == str(version) for _, opaque in tags)


def refuse_precondition(call: Call) -> None:
    """Raise `MalformedRequest` for an `If-Match` where no one version could be meant."""
    if call.header(b"if-match") is not None:
        raise MalformedRequest("If-Match has no meaning for a batch; give each task its version.")


async def at_expected_version(call: Call, attempt: Callable[[int | None], Awaitable[R]]) -> R:
    """Return what `attempt` gives for the version that `If-Match` asks for; None where any will do.

    The core takes one version and compares it under the row's lock. Several tags are tried one after
    the other, lowest first: a version only grows, so none that matches when its turn comes is missed, and
    an attempt that does not match has changed nothing.

    Raises:
        MalformedRequest: The header field cannot be read.
        VersionMismatch: None of the tags is the present version; weak ones never are.
    """
    given = call.header(b"if-match")
    tags = None if given is None else _parsed(given, "If-Match")
    if tags is None:
        return await attempt(None)
    strong = sorted({int(opaque) for weak, opaque in tags if not weak and _version(opaque)})
    *earlier, last = strong or [_NO_VERSION]
    for version in earlier:
        try:
            return await attempt(version)
        except VersionMismatch:
            continue
    return await attempt(last)


def _parsed(given: str, name: str) -> list[tuple[str, str]] | None:
    """Return the tags, each with `W/` where it is weak; None for `*`."""
    if given.strip(" \t") == "*":
        return None
    tags = _tags(given) if _list_of_tags(given) else []
    if not 1 <= len(tags) <= TAGS_MAX:
        raise MalformedRequest(f'{name} must be * or one to {TAGS_MAX} entity tags such as "3".')
    return tags
