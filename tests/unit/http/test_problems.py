"""Errors: every one has its status, and none tells more than it should."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

import taskflow_http.app  # noqa: F401 - so that every error class is there
from support.http_world import World, client_of
from taskflow_core import Contention, Overloaded, TaskFlowError, Unavailable
from taskflow_core.ports.security import TokenClaims
from taskflow_http.errors import STATUSES

PROBLEM = {"type", "title", "status", "detail", "code", "requestId"}


def subclasses(kind: type[TaskFlowError]) -> Iterator[type[TaskFlowError]]:
    for sub in kind.__subclasses__():
        if sub.__module__.startswith("taskflow_"):
            yield sub
            yield from subclasses(sub)


def test_every_error_has_a_status() -> None:
    assert {kind.code for kind in subclasses(TaskFlowError)} - set(STATUSES) == set()


def test_no_status_is_for_an_error_that_is_gone() -> None:
    assert set(STATUSES) - {kind.code for kind in subclasses(TaskFlowError)} == set()


@pytest.mark.parametrize(
    "path",
    [
        "/nope", "/task", "/tasks/", "/tasks//", "/x//tasks", "/tasks/not-a-uuid", "/tasks/1",
        "/tasks/%7B01890a5d-ac96-774b-bcce-b302099a8057%7D", "/tasks/..%2f..%2fetc%2fpasswd", "/tasks/%00",
        "/tasks/01890a5d-ac96-774b-bcce-b302099a8057/", "/tasks/01890a5d-ac96-774b-bcce-b302099a8057%0A",
        "/tasks%0A", "/users/me/", "/users/ME", "/tasks/undefined/history", "/api/", "/api/static/",
        "/api/static/..%2f..%2fapp.py", "/api/static/__init__.py", "/api/static/redoc.js", "/TASKS",
        "/tasks;id=1", "/%ff", "/" + "x" * 5000,
    ],
)  # fmt: skip
async def test_paths_that_are_not_there(world: World, path: str) -> None:
    answer = await world.send("admin", "GET", path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == PROBLEM
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/tasks", "GET, HEAD, POST"),
        ("DELETE", "/tasks", "GET, HEAD, POST"),
        ("POST", "/tasks/01890a5d-ac96-774b-bcce-b302099a8057", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", "/tasks/stats", "GET, HEAD"),
        ("GET", "/tasks/batch", "POST"),
        ("GET", "/auth/login", "POST"),
        ("HEAD", "/auth/login", "POST"),
        ("OPTIONS", "/tasks", "GET, HEAD, POST"),
        ("TRACE", "/health/live", "GET, HEAD"),
        ("get", "/health/live", "GET, HEAD"),
        ("BREW", "/api", "GET, HEAD"),
    ],
)
async def test_methods_that_are_not_there(world: World, method: str, path: str, allowed: str) -> None:
    request = world.client.build_request("GET", path)
    request.method = method  # as it is: httpx would write it in capitals

    answer = await world.client.send(request)

    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    if method != "HEAD":
        assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, 'Bearer realm="taskflow"'),
        ("Basic dXNlcjpwYXNz", 'Bearer realm="taskflow"'),
        ("", 'Bearer realm="taskflow"'),
        ("Bearer", 'error="invalid_token"'),
        ("Bearer ", 'error="invalid_token"'),
        ("Bearer nonsense", 'error="invalid_token"'),
        ("bearer a b", 'error="invalid_token"'),
        ("Bearer " + "x" * 20_000, 'error="invalid_token"'),
        ("Bearer \xff", 'error="invalid_token"'),
    ],
)
async def test_who_is_not_known(world: World, authorization: str | None, challenge: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}

    answer = await world.client.get("/tasks", headers=headers)  # type: ignore[arg-type]

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    told = answer.headers["www-authenticate"]
    assert challenge in told
    assert ("error=" in told) == ("error=" in challenge)


async def test_what_cannot_be_a_token_is_not_even_looked_at(world: World) -> None:
    seen: list[str] = []

    def check(token: str, _: object) -> object:
        seen.append(token)
        return TokenClaims(world.people["user"].id, world.sessions["user"].id)

    world.tokens.check = check  # type: ignore[assignment,method-assign]
    async with client_of(world.app()) as client:
        for token in ("a b", "a,b", "é", "x" * 5000, "=", '"a"'):
            headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
            assert (await client.get("/tasks", headers=headers)).status_code == 401  # type: ignore[arg-type]
        assert (
            await client.get("/tasks", headers={"Authorization": "Bearer  a._~+/-Z9== "})
        ).status_code == 200

    assert set(seen) == {"a._~+/-Z9=="}


async def test_an_expired_token_is_refused(world: World) -> None:
    headers = world.headers("user")
    world.clock.advance(minutes=15)

    answer = await world.client.get("/tasks", headers=headers)

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_two_tokens_are_refused(world: World) -> None:
    headers = [("Authorization", value) for who in ("user", "admin") for value in world.headers(who).values()]

    assert (await world.client.get("/tasks", headers=headers)).status_code == 401


@pytest.mark.parametrize("email", ["user@example.com", "nobody@example.com", "nonsense", "\0"])
async def test_a_wrong_log_in_tells_nothing(world: World, email: str) -> None:
    answer = await world.send(None, "POST", "/auth/login", json={"email": email, "password": "wrong"})

    told = answer.json()
    assert (answer.status_code, told["code"]) == (401, "invalid_credentials")
    assert told["detail"] == "The email or the password is wrong."
    assert answer.headers["www-authenticate"] == 'Bearer realm="taskflow"'


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [(Unavailable(), "1"), (Contention(retry_after=0), "1"), (Overloaded(retry_after=7), "7")],
)
async def test_what_cannot_be_served_now(world: World, error: Unavailable, retry_after: str) -> None:
    async def fails(*_: object) -> None:
        raise error

    async with client_of(world.app(list_tasks=fails)) as client:
        answer = await client.get("/tasks", headers=world.headers("user"))

    assert (answer.status_code, answer.json()["code"]) == (503, error.code)
    assert answer.headers["retry-after"] == retry_after


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("SELECT * FROM users WHERE password = 'secret' -- db.internal:5432"),
        RecursionError("secret"),
        TimeoutError("secret"),
        ExceptionGroup("secret", [ValueError("secret")]),
        TaskFlowError("secret"),
    ],
    ids=lambda e: type(e).__name__,
)
async def test_a_fault_of_ours_is_told_to_nobody(world: World, error: Exception) -> None:
    async def fails(*_: object) -> None:
        raise error

    id = await world.task("user")
    # The default form of logs draws every variable of every frame, which takes seconds.
    with structlog.testing.capture_logs():
        async with client_of(world.app(find_task=fails)) as client:
            answer = await client.get(f"/tasks/{id}", headers=world.headers("user"))

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert set(answer.json()) == PROBLEM


async def test_a_token_of_a_deleted_account_reads_nothing(world: World) -> None:
    headers = world.headers("other")
    await world.send("admin", "DELETE", f"/users/{world.people['other'].id}")

    for method, path, body in [
        ("GET", "/users/me", None),
        ("PATCH", "/users/me", {"name": "New"}),
        ("POST", "/tasks", {"title": "New"}),
    ]:
        answer = await world.client.request(method, path, headers=headers, json=body)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_problem_has_just_its_members(world: World) -> None:
    answer = await world.send("user", "GET", "/users", headers={"X-Request-ID": "abc"})

    assert answer.json() == {
        "type": "urn:taskflow:problem:forbidden",
        "title": "Forbidden",
        "status": 403,
        "detail": "You may not do this: it needs the permission users:see (role manager or admin).",
        "code": "forbidden",
        "requestId": "abc",
    }
    assert answer.headers["cache-control"] == "no-store"
