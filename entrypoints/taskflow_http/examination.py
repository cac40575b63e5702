"""What is wrong with a body, all of it: shapes by the models, rules by the core where the shape is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import inspect

from taskflow_core import Fault, ledger, tasks, users
from taskflow_core.use_cases.tasks import batch
from taskflow_http import account_schemas, job_schemas, schemas
from taskflow_http.errors import InvalidRequest
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
    schemas.Batch: batch.FIELD_RULES,
}
"""The core's rules for the fields of a model, by the core's names."""


def examine(model: type[T], document: Any) -> T:
    """Return the document as the model after all, where its only sin is a number such as `5.0` for 5.

    Raises:
        InvalidRequest: With all its faults.
    """
    faults: list[Fault] = []
    mended = _examined(inspect.type_info(model), document, (), faults)
    if faults:
        raise InvalidRequest(faults, "body")
    return msgspec.convert(mended, model, dec_hook=decode_time)


def _examined(expected: inspect.Type, value: Any, path: Path, faults: list[Fault]) -> Any:
    """Return the value, mended; what is wrong with it goes to `faults`."""
    if isinstance(expected, inspect.Metadata):
        return _examined(expected.type, value, path, faults)
    choices = _choices(expected)
    for choice in choices:
        if isinstance(choice, inspect.StructType) and isinstance(value, dict):
            return _examined_object(choice, value, path, faults)
        if isinstance(choice, inspect.ListType) and isinstance(value, list):
            return [_examined(choice.item_type, v, (*path, i), faults) for i, v in enumerate(value)]
        if isinstance(choice, inspect.IntType) and isinstance(value, float) and value.is_integer():
            return int(value)
    if not any(_fits(choice, value) for choice in choices):
        faults.append(Fault(path, "must be " + " or ".join(map(_sentence, choices))))
    return value


def _examined_object(
    expected: inspect.StructType, value: dict[str, Any], path: Path, faults: list[Fault]
) -> dict[str, Any]:
    fields = {field.encode_name: field for field in expected.fields}
    rules = RULES.get(expected.cls, {})
    mended = {}
    for name, field in fields.items():
        if name in value:
            before = len(faults)
            mended[name] = _examined(field.type, value[name], (*path, name), faults)
            if field.name in rules and len(faults) == before:
                kind = _type_of(expected.cls, field.name)
                converted = msgspec.convert(mended[name], kind, dec_hook=decode_time)
                _apply(rules[field.name], converted, (*path, name), faults)
        elif field.required:
            faults.append(Fault((*path, name), "is required"))
    unknown = [name for name in value if name not in fields]
    faults += [Fault((*path, name), "is not a field of this") for name in unknown]
    return mended


def _apply(rule: Callable[[Any], object], value: Any, path: Path, faults: list[Fault]) -> None:
    try:
        rule(value)
    except ValueError as error:
        faults.append(Fault(path, str(error)))


def _type_of(model: type, name: str) -> Any:
    return next(field.type for field in msgspec.structs.fields(model) if field.name == name)


def _choices(expected: inspect.Type) -> list[inspect.Type]:
    """Return what a value may be (that a field may be left out, msgspec tells elsewhere)."""
    if not isinstance(expected, inspect.UnionType):
        return [expected]
    return [t.type if isinstance(t, inspect.Metadata) else t for t in expected.types]


def _fits(expected: inspect.Type, value: Any) -> bool:
    python_type = _PYTHON_TYPES.get(type(expected)) or getattr(expected, "cls", None)
    if isinstance(expected, inspect.LiteralType):
        return value in expected.values
    if python_type is None:
        return False
    try:
        msgspec.convert(value, python_type, dec_hook=decode_time)
    except msgspec.ValidationError:
        return False
    return True


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
