"""The OpenAPI document in the form that client generators understand, with examples that fit it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from support.http_world import NOBODY, World
from taskflow_core import Priority
from taskflow_http import openapi_document

DOCUMENT = openapi_document()


def validator(schema: dict[str, Any]) -> OAS31Validator:
    whole = schema | {"components": DOCUMENT["components"]}
    return OAS31Validator(whole, format_checker=oas31_format_checker)


def parts(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the document that is not an example, with its place."""
    if isinstance(value, dict):
        yield path, value
        for name, inner in value.items():
            if name not in ("example", "examples"):
                yield from parts(inner, f"{path}/{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from parts(inner, f"{path}/{index}")


def contents() -> Iterator[Any]:
    """What each operation takes and answers, by operation, status and media type."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            told = {"request": operation.get("requestBody", {})} | operation["responses"]
            for status, message in told.items():
                for kind, content in message.get("content", {}).items():
                    yield pytest.param(content, kind, id=f"{method} {path} {status} {kind}")


def test_no_optional_property_has_a_default() -> None:
    # openapi-typescript makes required what has a default.
    schemas = parts(DOCUMENT["components"]["schemas"])
    assert [place for place, part in schemas if "default" in part and not place.endswith("properties")] == []


def test_every_value_has_a_type() -> None:
    places = [*parts(DOCUMENT["components"]), *parts(DOCUMENT["paths"])]
    valued = [
        (place, part) for place, part in places if isinstance(part.get("enum"), list) or "const" in part
    ]
    assert len(valued) > 20
    assert [place for place, part in valued if "type" not in part] == []


def test_no_pattern_has_an_escape_that_generators_resolve() -> None:
    # The zod plugin of @hey-api/openapi-ts wrote U+2028 itself, which ends a line of JavaScript.
    patterns = [part["pattern"] for _, part in parts(DOCUMENT) if isinstance(part.get("pattern"), str)]
    assert len(patterns) > 20
    assert [pattern for pattern in patterns if "\\u" in pattern] == []


def test_priorities_stand_in_their_order() -> None:
    assert DOCUMENT["components"]["schemas"]["Priority"]["enum"] == [*Priority]


def test_everything_is_described() -> None:
    operations = [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    parameters = [p for operation in operations for p in operation["parameters"] if "$ref" not in p]
    assert all(part["description"] for part in [*operations, *parameters, *DOCUMENT["tags"]])
    assert {tag for operation in operations for tag in operation["tags"]} == {
        tag["name"] for tag in DOCUMENT["tags"]
    }


@pytest.mark.parametrize(("content", "kind"), [*contents()])
def test_examples_fit_their_schema(content: dict[str, Any], kind: str) -> None:
    schema = content["schema"]
    examples = list(content.get("examples", {}).values())
    assert examples or kind not in ("application/problem+json", "application/merge-patch+json")
    for example in examples:
        name = example.get("$ref", "").rpartition("/")[2]
        value = DOCUMENT["components"]["examples"][name]["value"] if name else example["value"]
        assert [error.message for error in validator(schema).iter_errors(value)] == []


@pytest.mark.parametrize("action", ["complete", "delete", "update", "archive"])
@pytest.mark.parametrize("extra", [{}, {"set": {}}, {"set": {"priority": "LOW"}}, {"set": None}])
async def test_a_batch_takes_changes_as_the_schema_says(
    world: World, action: str, extra: dict[str, Any]
) -> None:
    body = {"action": action, "tasks": [str(NOBODY)], "mode": "partial", **extra}
    valid = validator({"$ref": "#/components/schemas/Batch"}).is_valid(body)
    answer = await world.send("user", "POST", "/tasks/batch", json=body)
    assert answer.status_code == (200 if valid else 422)
    assert valid == (
        action != "archive" and extra == ({"set": {"priority": "LOW"}} if action == "update" else {})
    )
