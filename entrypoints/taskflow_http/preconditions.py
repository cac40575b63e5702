"""Conditional requests (RFC 9110 section 13) over versions: an entity tag is `"<version>"`, always strong.

Each route honours `If-Match` and `If-None-Match`, or refuses them. The others (`If-Modified-Since`,
`If-Unmodified-Since`, `If-Range`) are ignored, as RFC 9110 asks of what has no modification dates or ranges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from taskflow_core import VersionMismatch
from taskflow_http.errors import MalformedRequest
from taskflow_http.replies import Reply

if TYPE_CHECKING:
    from taskflow_http.calls import Call

TAGS_MAX: Final = 8
_OK: Final = 200

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_list_of_tags: Final = re.compile(rf"[ \t]*+(?:{_TAG}[ \t]*+)?+(?:,[ \t]*+(?:{_TAG}[ \t]*+)?+)*+").fullmatch
"""Empty elements are ignored, as RFC 9110 section 5.6.1.2 asks. Possessive, so the time is linear."""
_tags: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"').findall

HEADER_PATTERN: Final = r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*"){0,7})$'
"""What a client sends in `If-Match` or `If-None-Match`."""


def etag(version: int) -> tuple[bytes, bytes]:
    """Return the header field that shows a version."""
    return b"etag", b'"%d"' % version


@dataclass(frozen=True, slots=True)
class _Condition:
    """What the two header fields ask of the present entity tag: a container of the versions that fit.

    Attributes:
        required: The tags of `If-Match`, of which it must be one; None for any.
        excluded: The tags of `If-None-Match`, of which it must be none; None for all there are.
    """

    required: frozenset[str] | None
    excluded: frozenset[str] | None

    def matches(self, tag: str | None) -> bool:
        return self.required is None or tag in self.required

    def differs(self, tag: str | None) -> bool:
        return self.excluded is not None and tag not in self.excluded

    def __contains__(self, version: object) -> bool:
        return self.matches(str(version)) and self.differs(str(version))


def expected_version(call: Call) -> _Condition | None:
    """Return the versions at which a change is to be done; None for any. The core compares under the lock.

    Raises:
        MalformedRequest: A header field cannot be read.
    """
    given, given_none = call.header(b"if-match"), call.header(b"if-none-match")
    if given is None and given_none is None:
        return None
    required = None if given is None else _tags_of(given, "If-Match", weak=False)
    excluded = frozenset[str]() if given_none is None else _tags_of(given_none, "If-None-Match", weak=True)
    return _Condition(required, excluded)


def conditional(call: Call, reply: Reply) -> Reply:
    """Return what GET or HEAD answers: the reply, or 304 where `If-None-Match` names its entity tag.

    A reply without an entity tag has none that could be named; only `*` matches it.

    Raises:
        MalformedRequest: A header field cannot be read.
        VersionMismatch: `If-Match` does not name its entity tag.
    """
    condition = expected_version(call)
    if condition is None or reply.status != _OK:
        return reply
    tags = [(name, value) for name, value in reply.headers if name == b"etag"]
    tag = tags[0][1].decode("ascii").strip('"') if tags else None
    if not condition.matches(tag):
        raise VersionMismatch
    return reply if condition.differs(tag) else Reply(304, headers=tags)


def refuse_preconditions(call: Call) -> None:
    """Raise `MalformedRequest` for a precondition of a change that is not about one thing with a version."""
    if call.header(b"if-match") is not None or call.header(b"if-none-match") is not None:
        raise MalformedRequest("If-Match and If-None-Match have no meaning here: this has no entity tag.")


def _tags_of(given: str, name: str, *, weak: bool) -> frozenset[str] | None:
    """Return the opaque tags of a list, with or without the weak ones; None for `*`."""
    if given.strip(" \t") == "*":
        return None
    tags = _tags(given) if _list_of_tags(given) else []
    if not 1 <= len(tags) <= TAGS_MAX:
        raise MalformedRequest(f'{name} must be * or one to {TAGS_MAX} entity tags such as "3".')
    return frozenset(opaque for prefix, opaque in tags if weak or not prefix)
