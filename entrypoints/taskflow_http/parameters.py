"""Query parameters: read strictly, none ignored, none clamped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import msgspec

from taskflow_core import Fault, ledger
from taskflow_core.queries import FIELD_RULES, LIMIT_DEFAULT, LIMIT_MAX, SEARCH_MAX, choices
from taskflow_http import patterns, times
from taskflow_http.errors import InvalidRequest

E = TypeVar("E", bound=StrEnum)

CURSOR_MAX: Final = 4096
_RULES: Final = {**FIELD_RULES, **ledger.FIELD_RULES}
_PAIRS_MAX: Final = 100
_NAME_MAX: Final = 100
_digits: Final = re.compile(r"[0-9]{1,9}").fullmatch


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter.

    Attributes:
        field: What the core calls it.
        read: Makes a value of the text; raises ValueError with a sentence.
        schema: The same as JSON Schema.
        several: Whether it may be repeated, which is the same as commas between the values.
    """

    name: str
    field: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    description: str = ""
    several: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """The query string of a request.

    Attributes:
        values: What was given, by the core's names.
        pairs: What was given, as it was given.
    """

    values: dict[str, Any]
    pairs: tuple[tuple[str, str], ...]

    def next_page(self, cursor: str) -> bytes:
        """Return the reference to the same list from `cursor` on, relative to the list itself."""
        kept = [(name, value) for name, value in self.pairs if name != "cursor"]
        return b"?" + urlencode([*kept, ("cursor", cursor)]).encode("ascii")


EMPTY: Final = Query({}, ())


def read_query(parameters: Mapping[str, Parameter], raw: bytes) -> Query:
    """Return what a query string says.

    Raises:
        InvalidRequest: A parameter is not one of these, is given twice, or has a value that it cannot have.
    """
    if not raw:
        return EMPTY
    pairs = _pairs(raw)
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, text in _joined(pairs, {name for name, each in parameters.items() if each.several}):
        parameter = parameters.get(name)
        try:
            value = _value(parameter, text, values)
        except ValueError as error:
            faults.append(Fault((_printable(name),), str(error)))
        else:
            values[parameter.field] = value  # type: ignore[union-attr]
    if faults:
        names = {parameter.field: parameter.name for parameter in parameters.values()}
        raise InvalidRequest([*faults, *_rule_faults(values, names)], "query")
    return Query(values, pairs)


def _pairs(raw: bytes) -> tuple[tuple[str, str], ...]:
    text = raw.decode("ascii", "surrogateescape")
    try:
        # What is not UTF-8 becomes lone surrogates, which every value refuses by its own rule.
        pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=_PAIRS_MAX)
    except ValueError as error:
        raise InvalidRequest([Fault((), "has too many parameters")], "query") from error
    return tuple(pairs)


def _joined(pairs: Sequence[tuple[str, str]], several: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    """Yield the pairs, those of a parameter that may be repeated as one with commas between."""
    yield from (pair for pair in pairs if pair[0] not in several)
    for name in dict.fromkeys(name for name, _ in pairs if name in several):
        yield name, ",".join(text for other, text in pairs if other == name)


def _value(parameter: Parameter | None, text: str, before: Mapping[str, Any]) -> Any:
    if parameter is None:
        raise ValueError("is not a parameter of this")
    if parameter.field in before:
        raise ValueError("must be given once at most")
    return parameter.read(text)


def _rule_faults(values: Mapping[str, Any], names: Mapping[str, str]) -> list[Fault]:
    faults = []
    for field, value in values.items():
        try:
            _RULES.get(field, bool)(value)
        except ValueError as error:
            faults.append(Fault((names[field],), str(error)))
    return faults


def _printable(name: str) -> str:
    return name[:_NAME_MAX].encode("utf-8", "replace").decode("utf-8")


def one_of(kind: type[E]) -> Callable[[str], E]:
    """Return a reader of an enumeration's values."""
    members = {member.value: member for member in kind}

    def read(text: str) -> E:
        if text not in members:
            raise ValueError("must be one of " + ", ".join(members))
        return members[text]

    return read


def several_of(kind: type[E]) -> Callable[[str], E | tuple[E, ...]]:
    """Return a reader of one or several of an enumeration's values, with commas between, in its order."""
    read_one = one_of(kind)

    def read(text: str) -> E | tuple[E, ...]:
        given = [read_one(part) for part in text.split(",", len(kind))]
        if len(set(given)) < len(given):
            raise ValueError("must have each value once at most")
        values = choices(kind, given)
        return values[0] if len(values) == 1 else values

    return read


def sorting(keys: Mapping[str, E]) -> Callable[[str], tuple[E, bool]]:
    """Return a reader of a sort key, with `-` before it for descending."""
    orders = {
        ("-" if down else "") + name: (key, down) for name, key in keys.items() for down in (False, True)
    }

    def read(text: str) -> tuple[E, bool]:
        if text not in orders:
            raise ValueError("must be one of " + ", ".join(orders))
        return orders[text]

    return read


def read_count(text: str) -> int:
    """Read a whole number in plain ASCII digits."""
    if not _digits(text):
        raise ValueError("must be a whole number in plain digits")
    return int(text)


def read_flag(text: str) -> bool:
    """Read `true` or `false`, exactly."""
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def read_time(text: str) -> datetime:
    """Read a time by RFC 3339; that it has an offset is the core's rule."""
    try:
        return times.read_time(text)
    except (msgspec.ValidationError, UnicodeEncodeError):
        # In a query string a plus sign is a blank: the offset of many a client arrives like this.
        hint = "; write a plus sign as %2B" if " " in text else ""
        raise ValueError(f"must be a time such as 2030-01-31T17:00:00Z (RFC 3339){hint}") from None


def read_owner(text: str) -> UUID | None:
    """Read whose: a UUID, or `any` for everyone's."""
    if text == "any":
        return None
    try:
        return msgspec.convert(text, UUID)
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise ValueError("must be a UUID or any") from None


def enumeration(name: str, kind: type[StrEnum], description: str) -> Parameter:
    """Return a parameter that takes a value of an enumeration."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return Parameter(name, name, one_of(kind), schema, description)


def enumerations(name: str, kind: type[StrEnum], description: str) -> Parameter:
    """Return a parameter that takes one or several values of an enumeration."""
    item = {"$ref": f"#/components/schemas/{kind.__name__}"}
    schema = {"type": "array", "items": item, "minItems": 1, "uniqueItems": True}
    return Parameter(name, name, several_of(kind), schema, description, several=True)


def flag(name: str, description: str) -> Parameter:
    """Return a parameter that takes true or false."""
    return Parameter(name, name, read_flag, {"type": "boolean"}, description)


def time(name: str, field: str, description: str) -> Parameter:
    """Return a parameter that takes a time."""
    return Parameter(name, field, read_time, {"type": "string"} | patterns.TIME, description)


def sort(keys: Mapping[str, StrEnum], default: str) -> Parameter:
    """Return the parameter that orders a list."""
    names = [sign + name for name in keys for sign in ("", "-")]
    # Generators that name the values can make nothing of the sign.
    labels = [key.name + direction for key in keys.values() for direction in ("", "_DESCENDING")]
    schema = {"type": "string", "enum": names, "default": default, "x-enum-varnames": labels}
    return Parameter(
        "sort", "sort", sorting(keys), schema, "The key to sort by; `-` before it sorts in descending order."
    )


SEARCH: Final = Parameter(
    "search", "search", str,
    {"type": "string", "minLength": 1, "maxLength": SEARCH_MAX, "pattern": patterns.NO_NUL},
    "Only items that contain this text, in any letter case; no character is special.",
)  # fmt: skip
LIMIT: Final = Parameter(
    "limit", "limit", read_count,
    {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
    "The maximum number of items on a page.",
)  # fmt: skip
CURSOR: Final = Parameter(
    "cursor", "cursor", str, {"type": "string", "minLength": 1, "maxLength": CURSOR_MAX},
    "The `nextCursor` of the previous page, with the same other parameters (`limit` may change).",
)  # fmt: skip
OWNER: Final = Parameter(
    "userId", "owner", read_owner,
    {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "string", "const": "any"}]},
    "The id of the owner, or `any` for everyone. Default: the caller.",
)  # fmt: skip


def named(parameters: Sequence[Parameter]) -> dict[str, Parameter]:
    """Return parameters by their name on the wire."""
    return {parameter.name: parameter for parameter in parameters}
