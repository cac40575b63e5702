"""Bodies: decoded by msgspec; only one that fails is looked at field by field, so that all faults are told.

Of a name that stands twice in an object the last one counts (as in JavaScript; RFC 8259 section 4
leaves it open): there is one parser here, so nothing can be smuggled past another. A byte order mark at the
start is ignored, as RFC 8259 section 8.1 allows.
"""

from __future__ import annotations

import functools
import re
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from taskflow_http.errors import MalformedRequest, UnsupportedMediaType
from taskflow_http.examination import examine
from taskflow_http.times import decode_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskflow_http.calls import Call

T = TypeVar("T")

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_PARAMETER: Final = rf'({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*+")'
_media_type: Final = re.compile(
    rf"[ \t]*+({_WORD}/{_WORD})((?:[ \t]*+;[ \t]*+(?:{_PARAMETER})?+)*+)[ \t]*+"
).fullmatch
"""RFC 9110 sections 5.6.6 and 8.3.1: parameters may be empty, their values quoted. The quantifiers are
possessive, so the time is linear in the length."""
_parameters: Final = re.compile(_PARAMETER).findall
_unescaped: Final = functools.partial(re.compile(r"\\(.)").sub, r"\1")

JSON_TYPE: Final = "application/json"
MERGE_PATCH_TYPE: Final = "application/merge-patch+json"


class Body(Generic[T]):
    """What a route takes.

    Attributes:
        model: The struct that it becomes.
        media_types: Those it may be of.
        example: One that would be taken, for the documentation.
    """

    def __init__(self, model: type[T], *, example: Any, media_types: Sequence[str] = (JSON_TYPE,)) -> None:
        self.model = model
        self.media_types = tuple(media_types)
        self.example = example
        self._decoder = msgspec.json.Decoder(model, dec_hook=decode_time)

    def read(self, call: Call) -> T:
        """Return what the body of a request says, once its bytes are there (`Call.content`).

        Raises:
            UnsupportedMediaType: Of another type, in another charset, or compressed.
            MalformedRequest: Not JSON in UTF-8.
            InvalidRequest: JSON of another shape; names all that is wrong.
        """
        self._check_type(call)
        return self.decode(call.content)

    def decode(self, body: bytes) -> T:
        """Return what the bytes say; see `read`."""
        body = body.removeprefix(BOM_UTF8)
        try:
            try:
                return self._decoder.decode(body)
            except msgspec.ValidationError:
                return examine(self.model, body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(body) from error

    def _check_type(self, call: Call) -> None:
        given = call.header(b"content-type")
        if given not in self.media_types and not self._matches(given or ""):
            raise UnsupportedMediaType(f"The body must be {' or '.join(self.media_types)}, in UTF-8.")
        if (call.header(b"content-encoding") or "identity").lower() != "identity":
            raise UnsupportedMediaType("The body must not be compressed.")

    def _matches(self, content_type: str) -> bool:
        """Return whether it is one of the types, in UTF-8 where a charset is given (RFC 9110 section 8.3)."""
        found = _media_type(content_type)
        if found is None or found[1].lower() not in self.media_types:
            return False
        parameters = [
            (name.lower(), _unescaped(value.strip('"')).lower()) for name, value in _parameters(found[2])
        ]
        return all(name == "charset" and value in ("utf-8", "utf8") for name, value in parameters)


def _malformed(body: bytes) -> MalformedRequest:
    if not body.strip():
        return MalformedRequest("The body is empty; it must be JSON.")
    return MalformedRequest("The body is not JSON in UTF-8 (RFC 8259), or is nested too deeply.")
