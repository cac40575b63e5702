"""The schemas of bodies and answers, made from the structs, in a form that client generators understand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from taskflow_core import Action, BatchAction, EventType, JobState, Priority, Role, Status
from taskflow_http.schemas import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskflow_http.openapi.headers import Part
    from taskflow_http.operations import Operation

_REFERENCE: Final = "#/components/schemas/"
_ENUMERATIONS: Final = (Action, BatchAction, EventType, JobState, Priority, Role, Status)


def schemas(operations: Sequence[Operation]) -> Part:
    """Return the schema of every struct and enumeration that these operations read or answer."""
    bodies = [operation.body.model for operation in operations if operation.body is not None]
    answers = [operation.answer for operation in operations if operation.answer is not None]
    types = dict.fromkeys([*bodies, *answers, Problem, *_ENUMERATIONS])
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE + "{name}")
    # msgspec sorts the values, but the order of `Priority` has a meaning.
    for kind in _ENUMERATIONS:
        components[kind.__name__]["enum"] = [member.value for member in kind]
    components = {name: _portable(schema) for name, schema in components.items()}
    return dict(sorted((components | _batches(components)).items()))


def _portable(schema: Any) -> Any:
    """Return the same schema without what generators misread.

    A property with a `default` becomes a required one, so the description states the default instead.
    An `enum` without `type` becomes `unknown`. Text or null is one schema of two types, not a union of
    two schemas, so that the description and the format stand where generators look for them.
    """
    if not isinstance(schema, dict):
        return schema
    portable = {name: _portable_part(name, part) for name, part in schema.items()}
    if (default := portable.pop("default", None)) is not None:
        value = default if isinstance(default, str) else json.dumps(default)
        portable["description"] = f"{portable.get('description', '')} Default: `{value}`.".strip()
    if "enum" in portable:
        portable["type"] = "string"
    match portable.get("anyOf"):
        case [{"type": str(type_)} as value, {"type": "null"}]:
            del portable["anyOf"]
            portable = value | portable | {"type": [type_, "null"]}
    return portable


def _portable_part(name: str, part: Any) -> Any:
    if name == "properties":
        return {member: _portable(schema) for member, schema in part.items()}
    if name == "anyOf":
        return [_portable(schema) for schema in part]
    return _portable(part) if name in ("items", "additionalProperties") else part


def _batches(components: Part) -> Part:
    """Return `Batch` as one schema for each action: only an update has `set`, and it must have it."""
    batch, kinds = components["Batch"], components.pop("BatchAction")["enum"]
    titles = {kind: f"Batch{kind.title()}" for kind in kinds}
    batches: Part = {
        "Batch": {
            "title": "Batch",
            "description": batch["description"],
            "oneOf": [{"$ref": _REFERENCE + title} for title in titles.values()],
            "discriminator": {
                "propertyName": "action",
                "mapping": {kind: _REFERENCE + title for kind, title in titles.items()},
            },
        }
    }
    for kind, title in titles.items():
        updates = kind == BatchAction.UPDATE
        properties = batch["properties"] | {"action": {"type": "string", "const": kind}}
        if updates:
            properties["set"] = {"$ref": _REFERENCE + "TaskPatch", "minProperties": 1}
        else:
            del properties["set"]
        batches[title] = batch | {
            "title": title,
            "properties": properties,
            "required": [*batch["required"], *(["set"] if updates else [])],
        }
    return batches
