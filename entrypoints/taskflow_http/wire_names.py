"""Where the wire's names differ from the core's, and JSON Pointers made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WIRE_NAMES: Final[Mapping[str, str]] = {
    "as_of": "asOf",
    "due_date": "dueDate",
    "user_id": "userId",
    "items": "tasks",
    "changes": "set",
    "created_from": "createdFrom",
    "created_to": "createdTo",
    "due_from": "dueFrom",
    "due_to": "dueTo",
    "after": "cursor",
    "new_password": "newPassword",
}
"""The core's name to the wire's; the others are the same."""

_SEGMENT_MAX: Final = 100


def wire_name(name: str) -> str:
    """Return what the wire calls a field of the core."""
    return WIRE_NAMES.get(name, name)


def wire_path(path: Iterable[str | int]) -> tuple[str | int, ...]:
    """Return a path of the core in wire names."""
    return tuple(part if isinstance(part, int) else wire_name(part) for part in path)


def pointer(path: Iterable[str | int]) -> str:
    """Return a path in wire names as a JSON Pointer (RFC 6901).

    Names that the client made up are cut where they are absurdly long.
    """
    return "".join("/" + _escaped(str(part)) for part in path)


def _escaped(part: str) -> str:
    short = part if len(part) <= _SEGMENT_MAX else part[:_SEGMENT_MAX] + "…"
    return short.replace("~", "~0").replace("/", "~1")
