"""Requests that are done once, known by the key in their `Idempotency-Key` header.

After draft-ietf-httpapi-idempotency-key-header, whose key is a string of structured fields (RFC 8941 section
3.3.3): `"8e03978e"`. Many clients send it without the quotes, so both are taken, and both are the same key.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from taskflow_core import Once, Replayed
from taskflow_core.idempotency import KEY_MAX
from taskflow_http.errors import MalformedRequest
from taskflow_http.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskflow_core.use_cases.bundle import UseCase
    from taskflow_http.calls import Call

C = TypeVar("C")
R = TypeVar("R")

_PURPOSE: Final = b"taskflow idempotency 1"
_REPLAYED: Final = (b"idempotent-replayed", b"true")

# Visible ASCII. Bare keys go without what means something in structured fields. No blank: where the field
# comes twice its values are joined by one (`Call`), so that two keys are never one.
_BARE: Final = rf"[!#-+\--:<-\[\]-~]{{1,{KEY_MAX}}}"
_QUOTED: Final = rf'"(?:[!#-\[\]-~]|\\["\\]){{1,{KEY_MAX}}}"'
_bare: Final = re.compile(_BARE).fullmatch
_quoted: Final = re.compile(_QUOTED).fullmatch
_escaped: Final = re.compile(r'\\(["\\])')

HEADER_PATTERN: Final = rf"^(?:{_QUOTED}|{_BARE})$"
"""What a client sends."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a request is known by.

    Attributes:
        key: As its maker chose it.
        fingerprint: Of all that was asked.
    """

    key: str
    fingerprint: bytes = field(repr=False)


class Fingerprints:
    """Tells requests apart, by a keyed hash: a body may hold a password.

    Args:
        key: A secret that all instances share; another key is derived from it for this purpose. With another
            one a request is not known again: its key then looks like another request's, and is refused.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, _PURPOSE, "sha256")

    def mark(self, call: Call) -> Mark | None:
        """Return what a request is known by; None where it has no key.

        Raises:
            MalformedRequest: What it has is no key.
        """
        given = call.header(b"idempotency-key")
        return None if given is None else Mark(_key(given), self._of(call))

    def _of(self, call: Call) -> bytes:
        scope = call.scope
        asked = (scope["method"].encode(), scope["path"].encode(), scope["query_string"], call.content)
        # Each with its length before it: no two requests can be cut differently to look the same.
        return hmac.digest(self._key, b"".join(b"%d:%b" % (len(part), part) for part in asked), "sha256")


class _Kept(msgspec.Struct, array_like=True):
    """A reply as it is kept. New fields go to the end and have a default, for what is kept already."""

    status: int
    body: bytes
    content_type: bytes | None
    cache: bytes
    headers: list[tuple[bytes, bytes]]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Kept).decode


async def done_once(call: Call, use_case: UseCase[C, R], command: C, reply: Callable[[R], Reply]) -> Reply:
    """Return the reply to a command; where the request has a key, that of the first time that it came.

    Args:
        call: The request.
        use_case: One that looks at `Actor.once`.
        command: What it is told.
        reply: Makes the reply of the use case's result, and of nothing else that changes.
    """
    owner = call.actor.id
    if call.mark is None or owner is None:
        return reply(await use_case(command, call.actor))
    once = Once(owner, call.mark.key, call.mark.fingerprint, lambda result: _kept(reply(result)))
    try:
        return reply(await use_case(command, replace(call.actor, once=once)))
    except Replayed as done:
        return _again(done.answer)


def _key(given: str) -> str:
    text = given.strip(" \t")
    if _bare(text):
        return text
    if _quoted(text):
        return _escaped.sub(r"\1", text[1:-1])
    raise MalformedRequest(
        f"Idempotency-Key must come once and be 1 to {KEY_MAX} visible ASCII characters, such as "
        '"8e03978e-40d5". In quotes " and \\ have a \\ before them; without quotes none of " \\ , ; is in it.'
    )


def _kept(reply: Reply) -> bytes:
    return _encode(_Kept(reply.status, bytes(reply.body), reply.content_type, reply.cache, reply.headers))


def _again(answer: bytes) -> Reply:
    kept = _decode(answer)
    return Reply(kept.status, kept.body, kept.content_type, kept.cache, [*kept.headers, _REPLAYED])
