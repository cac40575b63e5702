"""Cursors: where the next page begins, sealed, so that only what this API gave comes back.

A cursor is base64url of a truncated HMAC-SHA256 and a compact payload. The MAC also covers a
fingerprint of the query, which is not in the cursor: with another query it does not fit.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from taskflow_core import Position
from taskflow_http.errors import InvalidCursor
from taskflow_http.parameters import CURSOR_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAC_BYTES: Final = 16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_PURPOSE: Final = b"taskflow cursor 1"


class _Sealed(msgspec.Struct, array_like=True, frozen=True):
    """A position. Times are microseconds since 1970, which is what PostgreSQL keeps."""

    time: int | None
    rank: int | None
    text: str | None
    id: UUID | None
    as_of: int


_encode: Final = msgspec.msgpack.Encoder(uuid_format="bytes").encode
_decode: Final = msgspec.msgpack.Decoder(_Sealed).decode


class Cursors:
    """Seals and opens cursors.

    Args:
        key: A secret that all instances share; another key is derived from it for this purpose.
        older: What sealed cursors before; they are opened still.
    """

    def __init__(self, key: bytes, *older: bytes) -> None:
        self._keys = [hmac.digest(each, _PURPOSE, "sha256") for each in (key, *older)]

    def seal(self, position: Position, query: Sequence[object]) -> str:
        """Return the cursor for the page after `position` of `query`, which is what tells it from others."""
        key = position.key
        sealed = _Sealed(
            time=_to_microseconds(key) if isinstance(key, datetime) else None,
            rank=key if isinstance(key, int) else None,
            text=key if isinstance(key, str) else None,
            id=position.id,
            as_of=_to_microseconds(position.as_of),
        )
        return self._seal(sealed, query)

    def open(self, cursor: str, query: Sequence[object]) -> Position:
        """Return the position that a cursor holds.

        Raises:
            InvalidCursor: It was not made by one of our keys for this query.
        """
        sealed = self._open(cursor, query)
        if sealed.id is None:
            raise InvalidCursor
        times = None if sealed.time is None else _to_time(sealed.time)
        keys = [key for key in (times, sealed.rank, sealed.text) if key is not None]
        return Position(keys[0] if keys else None, sealed.id, _to_time(sealed.as_of))

    def seal_number(self, number: int, query: Sequence[object]) -> str:
        """Return the cursor for a list whose position is one number; see `seal`."""
        return self._seal(_Sealed(None, number, None, None, 0), query)

    def open_number(self, cursor: str, query: Sequence[object]) -> int:
        """Return the number that a cursor holds; see `open`."""
        sealed = self._open(cursor, query)
        if sealed.rank is None:
            raise InvalidCursor
        return sealed.rank

    def _seal(self, sealed: _Sealed, query: Sequence[object]) -> str:
        payload = _encode(sealed)
        return _to_text(_mac(self._keys[0], payload, query) + payload)

    def _open(self, cursor: str, query: Sequence[object]) -> _Sealed:
        raw = _to_bytes(cursor)
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not any(hmac.compare_digest(mac, _mac(key, payload, query)) for key in self._keys):
            raise InvalidCursor
        return _decode(payload)


def _mac(key: bytes, payload: bytes, query: Sequence[object]) -> bytes:
    # Times come out the same in whatever offset they were given.
    # A list of two, encoded: no payload and fingerprint can be cut differently to look the same.
    told = msgspec.msgpack.encode([payload, query])
    return hmac.digest(key, told, "sha256")[:_MAC_BYTES]


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _to_bytes(cursor: str) -> bytes:
    """Return what the text says; one text alone says it (base64 leaves bits unused at its end)."""
    if not cursor.isascii() or len(cursor) > CURSOR_MAX:
        raise InvalidCursor
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise InvalidCursor from None
    if _to_text(raw) != cursor:
        raise InvalidCursor
    return raw


def _to_microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _to_time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
