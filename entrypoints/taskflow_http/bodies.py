"""Bodies: decoded by msgspec; only one that fails is looked at field by field, so that all faults are told.

Of a name that stands twice in an object the last one counts (as in JavaScript; RFC 8259 section 4
leaves it open): there is one parser here, so nothing can be smuggled past another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from taskflow_http.errors import MalformedRequest, UnsupportedMediaType
from taskflow_http.examination import examine
from taskflow_http.times import decode_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskflow_http.calls import Call
    from taskflow_http.operations import HttpOptions

T = TypeVar("T")

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

    async def read(self, call: Call, options: HttpOptions) -> T:
        """Return the body of a request.

        Raises:
            UnsupportedMediaType: Of another type, in another charset, or compressed.
            ContentTooLarge: Of more than `body_max` bytes.
            RequestTimeout: It was not whole in time.
            MalformedRequest: Not JSON in UTF-8.
            InvalidRequest: JSON of another shape; names all that is wrong.
        """
        self._check_type(call)
        return self.decode(await call.read_body(options.body_max, options.body_timeout))

    def decode(self, body: bytes) -> T:
        """Return what the bytes say; see `read`."""
        try:
            try:
                return self._decoder.decode(body)
            except msgspec.ValidationError:
                document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(body) from error
        return examine(self.model, document)

    def _check_type(self, call: Call) -> None:
        given = call.header(b"content-type")
        if given not in self.media_types and not self._matches(given or ""):
            raise UnsupportedMediaType(f"The body must be {' or '.join(self.media_types)}, in UTF-8.")
        if (call.header(b"content-encoding") or "identity").lower() != "identity":
            raise UnsupportedMediaType("The body must not be compressed.")

    def _matches(self, content_type: str) -> bool:
        """Return whether it is one of the types, whatever its letter case, in UTF-8 where that is told."""
        media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
        utf8 = all(parameter in ("charset=utf-8", 'charset="utf-8"') for parameter in parameters)
        return media_type in self.media_types and utf8


def _malformed(body: bytes) -> MalformedRequest:
    if not body.strip():
        return MalformedRequest("The body is empty; it must be JSON.")
    return MalformedRequest("The body is not JSON in UTF-8 (RFC 8259), or is nested too deeply.")
