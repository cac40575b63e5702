"""The examples of answers in the OpenAPI document are real answers, to the requests of docs/api.http."""

import json
import os
import re
from pathlib import Path
from typing import Any

from support.http_file import open_editor
from support.http_world import NOBODY, World, client_of
from taskflow_http import openapi_document
from taskflow_http.table import OPERATIONS

ROOT = Path(__file__).parents[3]
FILE = ROOT / "entrypoints/taskflow_http/openapi/answers.json"
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
OPAQUE = {"access_token": "eyJhbGciOi…", "refresh_token": "01b8dac5b40070008000000000000001.1.q3mH…"}


async def up() -> None: ...


async def down() -> None:
    raise ConnectionError


async def captured(world: World) -> dict[str, Any]:
    """Return the answer in JSON to each request, the same in every run."""
    world.client = client_of(world.app(checks={"postgresql": up, "redis": up}))
    world.client.headers["User-Agent"] = "example/1.0"
    editor = await open_editor(world)
    send = world.client.send

    async def send_later(*arguments: Any, **more: Any) -> Any:
        world.clock.advance(seconds=1)
        return await send(*arguments, **more)

    world.client.send = send_later  # type: ignore[method-assign]
    await editor.send_all()
    names = [operation.name for operation in OPERATIONS if operation.answer is not None]
    # The id that a request names stays as it is.
    ids = {str(NOBODY): str(NOBODY)}
    return {name: steady(json.loads(editor.answers[name]), ids) for name in names}


def steady(value: Any, ids: dict[str, str]) -> Any:
    """Return the answer with what is random replaced: ids by numbers in the order in which they occur."""
    if isinstance(value, dict):
        return {name: OPAQUE.get(name) or steady(inner, ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [steady(inner, ids) for inner in value]
    if isinstance(value, str) and ID.fullmatch(value):
        number = ids.setdefault(value, f"01b8dac5-b400-7000-8000-{len(ids) + 1:012x}")
        return number if "-" in value else number.replace("-", "")
    return value


async def test_the_examples_of_answers_are_real_answers(world: World) -> None:
    answers = await captured(world)
    if os.environ.get("UPDATE_EXAMPLES"):
        text = json.dumps(dict(sorted(answers.items())), indent=1, ensure_ascii=False)
        FILE.write_text(text + "\n", encoding="utf-8")

    assert json.loads(FILE.read_text(encoding="utf-8")) == answers


def test_every_answer_has_an_example() -> None:
    for operation in OPERATIONS:
        if operation.answer is not None:
            told = openapi_document()["paths"][operation.path][operation.method.lower()]
            content = told["responses"][str(operation.status)]["content"]["application/json"]
            assert content["examples"], operation.name


async def test_the_examples_of_problems_are_real_answers(world: World) -> None:
    world.client = client_of(world.app(checks={"postgresql": down, "redis": up}))
    task, other = await world.task("user"), await world.task("user")
    batch = {"action": "delete", "tasks": [str(task), {"id": str(other), "version": 3}]}
    email = world.people["other"].email
    for name, who, method, path, body in (
        ("invalid", "user", "POST", "/tasks", {"title": ""}),
        ("invalid_query", "user", "GET", "/tasks?colour=1", None),
        ("batch_failed", "user", "POST", "/tasks/batch", batch),
        ("not_ready", None, "GET", "/health/ready", None),
        ("unauthenticated", None, "GET", "/tasks", None),
        ("invalid_credentials", None, "POST", "/auth/login", {"email": email, "password": "wrong"}),
        ("forbidden", "user", "GET", "/users", None),
        ("not_found", "other", "GET", f"/tasks/{task}", None),
        ("email_taken", "admin", "PATCH", f"/users/{world.people['user'].id}", {"email": email}),
        ("invalid_cursor", "user", "GET", "/tasks?cursor=x", None),
    ):
        answer = await world.send(who, method, path, json=body)
        example = openapi_document()["components"]["examples"][name]["value"]
        assert comparable(answer.json()) == comparable(example)


def comparable(problem: dict[str, Any]) -> dict[str, Any]:
    """Return a problem without what depends on the request, and its detail, which may be a closer one."""
    results = [{**result, "id": ""} for result in problem.get("results", [])]
    return problem | {"requestId": "", "detail": "", "results": results}
