"""Times that come in: RFC 3339, cut to the microseconds that PostgreSQL and Python keep.

msgspec rounds what is finer, which would put the last moment of a day into the next one.
"""

from __future__ import annotations

import re
from abc import ABC
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

_FINER: Final = re.compile(r"(\.[0-9]{6})[0-9]+")

if TYPE_CHECKING:
    TimeIn = datetime
else:

    class TimeIn(ABC):  # noqa: B024 - a name for msgspec alone
        """A datetime for which msgspec asks `decode_time`, since it is a type that it does not know."""

    TimeIn.register(datetime)


def read_time(text: str) -> datetime:
    """Return the time, aware or not: that it has an offset is the core's rule.

    Raises:
        msgspec.ValidationError: It is no time by RFC 3339, or a leap second.
    """
    return msgspec.convert(_FINER.sub(r"\1", text), datetime)


def decode_time(expected: type, value: Any) -> datetime:
    """Decode a `TimeIn`, as msgspec's `dec_hook`."""
    if isinstance(value, datetime):
        return value
    if expected is not TimeIn or not isinstance(value, str):
        raise ValueError("must be a time")
    return read_time(value)
