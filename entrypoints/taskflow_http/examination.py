"""What is wrong with a body, all of it: shapes by the models, rules by the core where the shape is right."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import inspect

from taskflow_core import Fault, ledger, tasks, users
from taskflow_http import account_schemas, job_schemas, schemas
from taskflow_http.errors import FAULTS_MAX, InvalidRequest
from taskflow_http.times import decode_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
Path = tuple[str | int, ...]

RULES: Final[Mapping[type, Mapping[str, Callable[[Any], object]]]] = {
    account_schemas.Registration: users.FIELD_RULES,
    account_schemas.NewUser: users.FIELD_RULES,
    account_schemas.UserPatch: users.FIELD_RULES,
    account_schemas.ProfilePatch: users.FIELD_RULES,
    account_schemas.PasswordChange: {"new_password": users.check_password},
    job_schemas.DeadJobs: ledger.FIELD_RULES,
    schemas.NewTask: tasks.FIELD_RULES,
    schemas.TaskPatch: tasks.FIELD_RULES,
}
"""The core's rules for the fields of a model, by the core's names."""


def examine(model: type[T], body: bytes) -> T:
    """Return a body as the model after all, where its only fault is a number such as `5.0` for 5.

    The document is decoded one level at a time, and only what the model has a place for: the work is bounded
    by the faults that are reported, however long the body is.

    Raises:
        InvalidRequest: With all its faults, `FAULTS_MAX` at most.
        msgspec.DecodeError: It is not JSON.
        UnicodeDecodeError: It is not UTF-8.
        RecursionError: It is nested too deeply.
    """
    body.decode()
    faults = _Faults()
    mended = _examined(inspect.type_info(model), msgspec.json.decode(body, type=msgspec.Raw), (), faults)
    if faults:
        raise InvalidRequest(faults, "body")
    return msgspec.convert(mended, model, dec_hook=decode_time)


class _Faults(list[Fault]):
    """What is wrong with a body."""

    def add(self, path: Path, detail: str) -> None:
        """Keep a fault; the last one that is reported ends the search."""
        self.append(Fault(path, detail))
        if len(self) == FAULTS_MAX:
            raise InvalidRequest(self, "body")


def _examined(expected: inspect.Type, raw: msgspec.Raw, path: Path, faults: _Faults) -> Any:
    """Return the value, mended; what is wrong with it goes to `faults`."""
    if isinstance(expected, inspect.Metadata):
        return _examined(expected.type, raw, path, faults)
    choices, first = _choices(expected), bytes(raw).lstrip()[:1]
    for choice in choices:
        if isinstance(choice, inspect.StructType) and first == b"{":
            return _examined_object(choice, raw, path, faults)
        if isinstance(choice, inspect.ListType) and first == b"[":
            return _examined_list(choice, raw, path, faults)
    for choice in choices:
        with suppress(msgspec.ValidationError):
            return _scalar(choice, raw)
    faults.add(path, "must be " + " or ".join(map(_sentence, choices)))
    return None


def _examined_object(
    expected: inspect.StructType, raw: msgspec.Raw, path: Path, faults: _Faults
) -> dict[str, Any]:
    given = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    fields = {field.encode_name: field for field in expected.fields}
    rules = RULES.get(expected.cls, {})
    mended = {}
    for name, field in fields.items():
        if name in given:
            before = len(faults)
            mended[name] = _examined(field.type, given[name], (*path, name), faults)
            if field.name in rules and len(faults) == before:
                kind = _type_of(expected.cls, field.name)
                converted = msgspec.convert(mended[name], kind, dec_hook=decode_time)
                _apply(rules[field.name], converted, (*path, name), faults)
        elif field.required:
            faults.add((*path, name), "is required")
    for name in given:
        if name not in fields:
            faults.add((*path, name), "is not a field of this")
    return mended


def _examined_list(expected: inspect.ListType, raw: msgspec.Raw, path: Path, faults: _Faults) -> list[Any]:
    items = msgspec.json.decode(raw, type=list[msgspec.Raw])
    least, most = expected.min_length or 0, expected.max_length or len(items)
    if not least <= len(items) <= most:
        faults.add(path, f"must have between {least} and {most} items")
        return []
    return [_examined(expected.item_type, item, (*path, i), faults) for i, item in enumerate(items)]


def _scalar(expected: inspect.Type, raw: msgspec.Raw) -> Any:
    """Return the value as the model has it; raise `ValidationError` where it is of another type."""
    if isinstance(expected, inspect.LiteralType):
        return msgspec.json.decode(raw, type=Literal[expected.values])
    if isinstance(expected, inspect.IntType):
        value = msgspec.json.decode(raw, type=int | float)
        return int(value) if value == value // 1 else msgspec.convert(value, int)
    python_type = _PYTHON_TYPES.get(type(expected)) or expected.cls  # type: ignore[attr-defined] # a class's
    return msgspec.json.decode(raw, type=python_type, dec_hook=decode_time)


def _apply(rule: Callable[[Any], object], value: Any, path: Path, faults: _Faults) -> None:
    try:
        rule(value)
    except ValueError as error:
        faults.add(path, str(error))


def _type_of(model: type, name: str) -> Any:
    return next(field.type for field in msgspec.structs.fields(model) if field.name == name)


def _choices(expected: inspect.Type) -> list[inspect.Type]:
    """Return what a value may be (that a field may be left out, msgspec tells elsewhere)."""
    if not isinstance(expected, inspect.UnionType):
        return [expected]
    return [t.type if isinstance(t, inspect.Metadata) else t for t in expected.types]


def _sentence(expected: inspect.Type) -> str:
    if isinstance(expected, inspect.EnumType):
        return "one of " + ", ".join(member.value for member in expected.cls)
    if isinstance(expected, inspect.LiteralType):
        return "one of " + ", ".join(map(str, expected.values))
    return _SENTENCES[type(expected)]


_PYTHON_TYPES: Final[Mapping[type[inspect.Type], Any]] = {
    inspect.StrType: str,
    inspect.IntType: int,
    inspect.BoolType: bool,
    inspect.NoneType: type(None),
    inspect.UUIDType: UUID,
    inspect.ListType: list,
}

_SENTENCES: Final[Mapping[type[inspect.Type], str]] = {
    inspect.StrType: "a text",
    inspect.IntType: "a whole number",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
    inspect.UUIDType: "a UUID",
    inspect.CustomType: "a time with an offset, such as 2030-01-31T17:00:00Z (RFC 3339)",
    inspect.StructType: "an object",
    inspect.ListType: "an array",
}
