"""The OpenAPI document: complete, valid, and true."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec
import openapi_spec_validator
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.inspect import CustomType, DateTimeType, StructType, multi_type_info

from support.http_world import World
from taskflow_core import tasks, users
from taskflow_core.fields import is_invisible
from taskflow_http import http_file, idempotency, openapi_document, openapi_json, patterns
from taskflow_http.errors import MalformedRequest
from taskflow_http.idempotency import _key
from taskflow_http.parameters import read_time
from taskflow_http.table import OPERATIONS

DOCUMENT = openapi_document()
TIME = {"date-time"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (target for name, target in value.items() if name == "$ref")
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_route_is_documented_and_nothing_else(world: World) -> None:
    served = {
        (method, re.sub(r":\w+}", "}", route.path))  # type: ignore[attr-defined]
        for route in world.app().routes
        for method in set(route.app._operations) - {"HEAD"}  # type: ignore[attr-defined]
    }

    assert {(method, path) for method, path, _ in operations()} == served


def test_every_reference_leads_somewhere_and_every_part_is_used() -> None:
    used = set(references(DOCUMENT))
    there = {
        f"#/components/{kind}/{name}"
        for kind, parts in DOCUMENT["components"].items()
        for name in parts
        if kind != "securitySchemes"
    }

    assert used == there


def test_names_are_unique() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]

    assert len(set(names)) == len(names) == len(OPERATIONS)


@pytest.mark.parametrize(("method", "path", "operation"), [*operations()])
def test_every_operation_tells_all(method: str, path: str, operation: dict[str, Any]) -> None:
    assert method
    responses = operation["responses"]
    failures = {status: r for status, r in responses.items() if status >= "400"}

    assert operation["summary"]
    assert {"431", "500"} <= set(failures)
    assert ("422" in failures) == (operation["tags"] != ["health"])
    assert all(set(r["content"]) == {"application/problem+json"} for r in failures.values())
    assert all("X-Request-ID" in r["headers"] for r in responses.values())
    asks_who = "security" not in operation or path in ("/auth/login", "/auth/refresh")
    assert ("401" in failures) == asks_who
    limited = "security" not in operation or path.startswith("/auth/")
    assert ("429" in failures) == limited
    fields = {"RateLimit", "RateLimit-Policy"}
    assert all((fields <= set(r["headers"])) == limited for r in responses.values())
    assert not limited or "Retry-After" in failures["429"]["headers"]
    assert "401" not in failures or "WWW-Authenticate" in failures["401"]["headers"]
    assert "503" not in failures or "Retry-After" in failures["503"]["headers"]
    assert ("requestBody" in operation) == ("415" in failures) == ("413" in failures)
    named = {p["name"] for p in operation["parameters"] if "name" in p and p["in"] == "path"}
    assert named == set(re.findall(r"{(\w+)}", path))


def test_what_comes_in_refuses_what_is_unknown() -> None:
    for _, _, operation in operations():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = DOCUMENT["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            for kind in schema.get("oneOf", [content["schema"]]):
                name = kind["$ref"].rpartition("/")[2]
                assert DOCUMENT["components"]["schemas"][name]["additionalProperties"] is False


def test_names_on_the_wire_are_in_camel_case() -> None:
    oauth = {"access_token", "refresh_token", "token_type", "expires_in"}
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for member in schema.get("properties", {}):
            assert re.fullmatch(r"[a-z][A-Za-z]*|[A-Z_]+", member) or member in oauth, (name, member)


def inside(kind: Any) -> Iterator[Any]:
    """A type and all that it holds, but for what structs hold."""
    yield kind
    held = [getattr(kind, name, None) for name in ("type", "item_type", "value_type")]
    for inner in (*held, *getattr(kind, "types", ())):
        if inner is not None:
            yield from inside(inner)


def structs(kinds: Iterable[Any], seen: dict[str, StructType]) -> dict[str, StructType]:
    for kind in kinds:
        for inner in inside(kind):
            if isinstance(inner, StructType) and inner.cls.__name__ not in seen:
                seen[inner.cls.__name__] = inner
                structs([field.type for field in inner.fields], seen)
    return seen


def formats(schema: dict[str, Any]) -> set[str | None]:
    return {part.get("format") for part in schema.get("anyOf", [schema]) if part.get("type") != "null"}


def test_every_time_says_that_it_is_one() -> None:
    models = [o.body.model for o in OPERATIONS if o.body] + [o.answer for o in OPERATIONS if o.answer]
    times = {
        (name, field.encode_name)
        for name, struct in structs(multi_type_info(models), {}).items()
        for field in struct.fields
        if any(isinstance(inner, DateTimeType | CustomType) for inner in inside(field.type))
    }
    assert {("Job", "runAt"), ("ScanDue", "dueAt"), ("TaskPatch", "dueDate"), ("Task", "completedAt")} < times
    schemas = DOCUMENT["components"]["schemas"]
    untold = {(name, field) for name, field in times if formats(schemas[name]["properties"][field]) != TIME}
    assert untold == set()
    asked = [p for operation in OPERATIONS for p in operation.parameters.values() if p.read is read_time]
    assert asked
    assert all(formats(dict(parameter.schema)) == TIME for parameter in asked)


def test_examples_are_taken() -> None:
    for operation in OPERATIONS:
        if operation.body is not None:
            operation.body.decode(msgspec.json.encode(operation.body.example))


async def test_it_is_served(world: World) -> None:
    answer = await world.send(None, "GET", "/openapi.json")

    assert answer.json() == DOCUMENT == json.loads(openapi_json())


def test_it_is_valid() -> None:
    openapi_spec_validator.validate(DOCUMENT)


async def test_the_page_works_offline(world: World) -> None:
    page = await world.send(None, "GET", "/api")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>TaskFlow</title>" in page.text
    assert "//" not in page.text.replace("<!doctype", "")
    links = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page.text)
    assert len(links) == 4
    for link in links:
        asset = await world.send(None, "GET", "/" + link)
        assert asset.status_code == 200
        assert asset.headers["content-type"].startswith(("text/javascript", "text/css"))
        assert asset.content


def test_the_http_file_has_every_request() -> None:
    text = http_file()

    assert text.count("\n### ") == len(OPERATIONS)
    for operation in OPERATIONS:
        assert f"# @name {operation.name}\n{operation.method} {{{{base}}}}/" in text
    assert text.count("Authorization: Bearer {{token}}") == sum(o.secured for o in OPERATIONS)


def test_who_takes_a_key_says_so() -> None:
    for operation in OPERATIONS:
        told = DOCUMENT["paths"][operation.path][operation.method.lower()]
        takes = {"$ref": "#/components/parameters/Idempotency-Key"} in told["parameters"]
        answers = told["responses"]
        assert takes == operation.idempotent_by_key
        assert takes == ("Idempotent-Replayed" in answers[str(operation.status)]["headers"])
        for status, code in (("409", "request_in_progress"), ("422", "idempotency_key_reused")):
            examples = answers.get(status, {}).get("content", {}).get("application/problem+json", {})
            assert takes == (code in examples.get("examples", {}))
        assert not takes or "malformed_request" in answers["400"]["description"]


def test_who_takes_a_permission_tells_of_403() -> None:
    for operation in OPERATIONS:
        if operation.permission is not None:
            told = DOCUMENT["paths"][operation.path][operation.method.lower()]
            assert "403" in told["responses"], operation.name


odd = st.sampled_from(
    ["", '"', '\\"', "\\\\", "\\", "a,b", "a;b", " ", "\x7f", "é", "-:;<[]~!", "x" * 255, "x" * 256]
)


@given(st.lists(odd | st.text(max_size=3), max_size=4).map("".join), st.booleans())
def test_the_pattern_of_keys_says_what_is_taken(text: str, quoted: bool) -> None:
    value = f'"{text}"' if quoted else text
    try:
        _key(value)
    except MalformedRequest:
        taken = False
    else:
        # Blanks around it are no part of a field's value.
        taken = value == value.strip(" \t")

    assert matches({"pattern": idempotency.HEADER_PATTERN}, value) == taken


blanks = "".join(chr(c) for c in range(0x110000) if chr(c).isspace())
texts = st.text(st.sampled_from("a\0\u200b\ufeff\u180e" + blanks), max_size=6) | st.text(
    st.sampled_from("a "), min_size=250, max_size=260
)


def accepted(rule: Any, value: Any) -> bool:
    try:
        rule(value)
    except ValueError:
        return False
    return True


def matches(schema: Any, value: str) -> bool:
    """Return what JSON Schema says of a text."""
    fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9)
    # `$` is the very end in JSON Schema's dialect.
    return fits and re.search(schema["pattern"].replace("$", r"\Z"), value) is not None


@given(texts)
def test_patterns_say_what_the_rules_do(text: str) -> None:
    # No pattern can say that one character at least is visible: the description does.
    if not all(map(is_invisible, text)):
        assert matches(patterns.TITLE, text) == accepted(tasks.check_title, text)
        assert matches(patterns.NAME, text) == accepted(users.check_name, text)
    if unicodedata.is_normalized("NFKC", text):
        assert matches(patterns.PASSWORD, text) == accepted(users.check_password, text)
    assert matches(patterns.DESCRIPTION, text) == accepted(tasks.check_description, text)


@pytest.mark.parametrize("length", [254, 255, 256, 257])
@pytest.mark.parametrize("around", ["", " ", "\u3000\n"])
def test_patterns_count_like_the_rules(length: int, around: str) -> None:
    text = around + "x" * length + around

    assert matches(patterns.TITLE, text) == accepted(tasks.check_title, text) == (length <= 255)


@pytest.mark.parametrize(
    "text",
    ["1899-12-31T23:59:59Z", "1900-01-01T00:00:00Z", "9998-12-31T23:59:59Z", "9999-01-01T00:00:00Z",
     "2030-01-01T00:00:00", "2030-01-01T00:00:60Z", "2030-01-01T00:00:00.5+14:00", "0000-01-01T00:00:00Z",
     "2030-01-01t00:00:00z", "2030-01-01"],
)  # fmt: skip
def test_the_pattern_of_times_says_what_the_rule_does(text: str) -> None:
    try:
        taken = accepted(tasks.check_time, msgspec.convert(text, datetime))
    except msgspec.ValidationError:
        taken = False

    assert matches(patterns.TIME, text) == taken
