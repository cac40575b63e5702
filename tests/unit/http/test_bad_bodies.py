"""Bad bodies: each is a clear problem that names every fault by its pointer, and nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.http_world import NOBODY, PASSWORD, World

TASK = {"title": "A title"}
USER = {"email": "new@example.com", "name": "New", "password": PASSWORD}
ID = str(NOBODY)


def batch(**fields: Any) -> dict[str, Any]:
    return {"action": "update", "tasks": [ID], "set": {"title": "A title"}} | fields


BAD: list[tuple[str, str, Any, list[str]]] = [
    ("POST", "/tasks", {}, ["/title"]),
    ("POST", "/tasks", {"title": ""}, ["/title"]),
    ("POST", "/tasks", {"title": " \t\u2003"}, ["/title"]),
    ("POST", "/tasks", {"title": "x" * 256}, ["/title"]),
    ("POST", "/tasks", {"title": "a\0b"}, ["/title"]),
    ("POST", "/tasks", {"title": None}, ["/title"]),
    ("POST", "/tasks", {"title": 5}, ["/title"]),
    ("POST", "/tasks", {"title": ["x"]}, ["/title"]),
    ("POST", "/tasks", TASK | {"description": "x" * 10_001}, ["/description"]),
    ("POST", "/tasks", TASK | {"description": "a\0"}, ["/description"]),
    ("POST", "/tasks", TASK | {"description": {}}, ["/description"]),
    ("POST", "/tasks", TASK | {"status": "OVERDUE"}, ["/status"]),
    ("POST", "/tasks", TASK | {"status": "pending"}, ["/status"]),
    ("POST", "/tasks", TASK | {"status": None}, ["/status"]),
    ("POST", "/tasks", TASK | {"priority": 1}, ["/priority"]),
    ("POST", "/tasks", TASK | {"dueDate": "2030-01-01T00:00:00"}, ["/dueDate"]),
    ("POST", "/tasks", TASK | {"dueDate": "2030-01-01"}, ["/dueDate"]),
    ("POST", "/tasks", TASK | {"dueDate": "2030-02-30T00:00:00Z"}, ["/dueDate"]),
    ("POST", "/tasks", TASK | {"dueDate": "2030-01-01T00:00:60Z"}, ["/dueDate"]),
    ("POST", "/tasks", TASK | {"dueDate": "0001-01-01T00:00:00Z"}, ["/dueDate"]),
    ("POST", "/tasks", TASK | {"dueDate": "9999-12-31T23:59:59-23:59"}, ["/dueDate"]),
    ("POST", "/tasks", TASK | {"dueDate": 1893456000}, ["/dueDate"]),
    ("POST", "/tasks", TASK | {"dueDate": ""}, ["/dueDate"]),
    ("POST", "/tasks", TASK | {"userId": "me"}, ["/userId"]),
    ("POST", "/tasks", TASK | {"userId": None}, ["/userId"]),
    ("POST", "/tasks", TASK | {"userId": "{" + ID + "}"}, ["/userId"]),
    ("POST", "/tasks", TASK | {"due_date": "2030-01-01T00:00:00Z"}, ["/due_date"]),
    ("POST", "/tasks", TASK | {"a/b~c": 1}, ["/a~1b~0c"]),
    ("POST", "/tasks", [], [""]),
    ("POST", "/tasks", False, [""]),
    ("POST", "/tasks", "text", [""]),
    # What the edge and what the core finds, in one answer.
    (
        "POST",
        "/tasks",
        {"title": " ", "description": 1, "status": "x", "dueDate": "2030-01-01T00:00:00", "colour": "red"},
        ["/title", "/description", "/status", "/dueDate", "/colour"],
    ),
    ("POST", "/tasks", {"title": "", "dueDate": "1800-01-01T00:00:00Z"}, ["/title", "/dueDate"]),
    ("PATCH", "/tasks/{id}", {"title": None}, ["/title"]),
    ("PATCH", "/tasks/{id}", {"status": None, "priority": None, "userId": None},
     ["/status", "/priority", "/userId"]),
    ("PATCH", "/tasks/{id}", {"description": 5, "title": "\0"}, ["/description", "/title"]),
    ("PATCH", "/tasks/{id}", {"dueDate": "soon"}, ["/dueDate"]),
    ("PATCH", "/tasks/{id}", [{"op": "replace"}], [""]),
    ("POST", "/tasks/batch", {}, ["/action", "/tasks"]),
    ("POST", "/tasks/batch", batch(tasks=[]), ["/tasks"]),
    ("POST", "/tasks/batch", batch(tasks=[ID] * 1001), ["/tasks"]),
    ("POST", "/tasks/batch", batch(tasks=["x", ID, 5, {"id": ID}, {"id": "y"}, {}]),
     ["/tasks/0", "/tasks/2", "/tasks/4/id", "/tasks/5/id"]),
    ("POST", "/tasks/batch", batch(tasks=[{"id": ID, "version": "1"}]), ["/tasks/0/version"]),
    ("POST", "/tasks/batch", batch(tasks=[{"id": ID, "version": 1.5}]), ["/tasks/0/version"]),
    ("POST", "/tasks/batch", batch(tasks=[{"id": ID, "version": True}]), ["/tasks/0/version"]),
    ("POST", "/tasks/batch", batch(tasks=[{"id": ID, "version": None}]), ["/tasks/0/version"]),
    ("POST", "/tasks/batch", batch(tasks=[{"id": ID, "userId": ID}]), ["/tasks/0/userId"]),
    ("POST", "/tasks/batch", batch(tasks=[ID, {"id": ID, "version": 2}]), ["/tasks/1"]),
    ("POST", "/tasks/batch", batch(tasks=ID), ["/tasks"]),
    ("POST", "/tasks/batch", batch(action="archive"), ["/action"]),
    ("POST", "/tasks/batch", batch(mode="best"), ["/mode"]),
    ("POST", "/tasks/batch", batch(set={}), ["/set"]),
    ("POST", "/tasks/batch", batch(set=None), ["/set"]),
    ("POST", "/tasks/batch", batch(action="complete"), ["/set"]),
    ("POST", "/tasks/batch", batch(set={"title": "", "dueDate": "1800-01-01T00:00:00Z"}),
     ["/set/title", "/set/dueDate"]),
    ("POST", "/tasks/batch", batch(tasks=[], set={"title": "", "dueDate": 5, "version": 1}),
     ["/tasks", "/set/title", "/set/dueDate", "/set/version"]),
    ("POST", "/users", {}, ["/email", "/name", "/password"]),
    ("POST", "/users", {"email": "x", "name": " ", "password": "short"}, ["/email", "/name", "/password"]),
    ("POST", "/users", USER | {"role": "root"}, ["/role"]),
    ("POST", "/users", USER | {"active": 1}, ["/active"]),
    ("POST", "/users", USER | {"password": "x" * 257}, ["/password"]),
    ("POST", "/users", USER | {"password": "x" * 8 + "\0"}, ["/password"]),
    ("POST", "/users", USER | {"email": "a@b@c"}, ["/email"]),
    ("POST", "/users", USER | {"email": "x" * 300 + "@example.com"}, ["/email"]),
    ("POST", "/users", USER | {"email": "a@example.com\r\nBcc: b@example.com"}, ["/email"]),
    ("PATCH", "/users/{user}", {"email": None, "name": None, "role": None, "active": None},
     ["/email", "/name", "/role", "/active"]),
    ("PATCH", "/users/{user}", {"name": "", "active": "false"}, ["/name", "/active"]),
    ("PATCH", "/users/me", {"name": "x" * 256}, ["/name"]),
    ("PATCH", "/users/me", {"role": "admin", "email": "x"}, ["/role", "/email"]),
    ("POST", "/auth/register", {}, ["/email", "/name", "/password"]),
    ("POST", "/auth/register", {"email": 1, "name": "", "password": "short"},
     ["/email", "/name", "/password"]),
    ("POST", "/auth/login", {"email": "user@example.com"}, ["/password"]),
    ("POST", "/auth/login", {"email": None, "password": 5, "otp": 1}, ["/email", "/password", "/otp"]),
    ("POST", "/auth/refresh", {}, ["/refresh_token"]),
    ("POST", "/auth/refresh", {"refresh_token": 5, "refreshToken": "x"}, ["/refresh_token", "/refreshToken"]),
    ("POST", "/auth/password", {}, ["/currentPassword", "/newPassword"]),
    ("POST", "/auth/password", {"currentPassword": 5, "newPassword": "short"},
     ["/currentPassword", "/newPassword"]),
]  # fmt: skip

OWNED_BY_THE_SERVER: list[tuple[str, str, dict[str, Any], list[str]]] = [
    # Mass assignment: nothing of a row can be set but what a route offers.
    (
        "POST",
        "/tasks",
        TASK,
        ["id", "version", "createdAt", "updatedAt", "completedAt", "deletedAt", "user_id"],
    ),
    ("PATCH", "/tasks/{id}", {}, ["id", "version", "createdAt", "updatedAt", "completedAt", "deletedAt"]),
    ("POST", "/users", USER, ["id", "version", "createdAt", "passwordHash", "password_hash"]),
    ("PATCH", "/users/{user}", {}, ["id", "version", "createdAt", "password", "passwordHash"]),
    ("PATCH", "/users/me", {}, ["id", "role", "active", "email", "password", "version"]),
    ("POST", "/auth/register", USER, ["id", "role", "active", "version", "isAdmin"]),
]

CASES = BAD + [
    (method, path, body | {name: "x"}, [f"/{name}"])
    for method, path, body, names in OWNED_BY_THE_SERVER
    for name in names
]


@pytest.fixture
async def before(world: World) -> AsyncIterator[dict[str, str]]:
    """What paths hold; nothing of it may be changed in the end."""
    held = {"id": str(await world.task("user")), "user": str(world.people["user"].id)}
    tasks, users = str(world.store.tasks), str(world.store.users)
    yield held
    assert (str(world.store.tasks), str(world.store.users)) == (tasks, users)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]} {case[3]}")
async def test_every_fault_is_told(
    world: World, before: dict[str, str], case: tuple[str, str, Any, list[str]]
) -> None:
    method, path, body, pointers = case

    answer = await world.send("admin", method, path.format(**before), json=body)

    told = answer.json()
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["code"] == "invalid"
    assert sorted(error["pointer"] for error in told["errors"]) == sorted(pointers)
    assert all(set(error) == {"pointer", "detail"} and error["detail"] for error in told["errors"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{",
        b'{"title": "x"} trailing',
        b'{"title": 5, broken',
        b"{'title': 'x'}",
        b'{"title": NaN}',
        b'{"version": 1e, "title": 5}',
        b'{"title": "\xff"}',
        b'\xef\xbb\xbf\xef\xbb\xbf{"title": "x"}',
        b'{"title": "\\ud800"}',
        b'{"\\udfff": 1}',
        '{"title": "x"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"title":' * 100_000,
        b'{"title":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=range(16),
)
@pytest.mark.usefixtures("before")
async def test_what_is_not_json(world: World, body: bytes) -> None:
    answer = await world.send(
        "user", "POST", "/tasks", content=body, headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


@pytest.mark.parametrize(
    ("method", "content_type"),
    [
        ("POST", None),
        ("POST", ""),
        ("POST", "text/plain"),
        ("POST", "application/x-www-form-urlencoded"),
        ("POST", "application/jsonp"),
        ("POST", "application/json; charset=utf-16"),
        ("POST", "application/json; charset=latin-1"),
        ("POST", "application/json; profile=x"),
        ("POST", "application/merge-patch+json"),
        ("POST", "application/json, text/plain"),
        ("POST", "application/json charset=utf-8"),
        ("POST", "application/json; charset = utf-8"),
        ("POST", "application/json; charset=utf-8; charset=latin-1"),
        ("POST", 'application/json; charset="utf-8'),
        ("POST", 'application/json; x="; charset=utf-8"'),
        ("POST", "application/json" + "; " * 15_000 + "x"),
        ("POST", "application/json" + ' ;"' * 10_000),
        ("PATCH", "application/json-patch+json"),
        ("PATCH", "text/json"),
    ],
)
async def test_other_media_types(
    world: World, before: dict[str, str], method: str, content_type: str | None
) -> None:
    path = "/tasks" if method == "POST" else f"/tasks/{before['id']}"
    headers = {} if content_type is None else {"Content-Type": content_type}

    answer = await world.send("user", method, path, content=b'{"title": "New"}', headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"',
        "application/json;", "application/json ; ;\t", "application/json;;charset=utf-8;",
        "application/json \t;\t CHARSET=Utf-8 ", "application/json; charset=utf8",
        'application/json; charset="utf\\-8"',
    ],
)  # fmt: skip
async def test_spellings_of_json(world: World, content_type: str) -> None:
    answer = await world.send(
        "user", "POST", "/tasks", content=b'{"title": "New"}', headers={"Content-Type": content_type}
    )

    assert answer.status_code == 201


async def test_a_byte_order_mark_is_ignored(world: World) -> None:
    answer = await world.send(
        "user", "POST", "/tasks", content=b'\xef\xbb\xbf{"title": "New"}',
        headers={"Content-Type": "application/json"},
    )  # fmt: skip

    assert (answer.status_code, answer.json()["title"]) == (201, "New")


@pytest.mark.usefixtures("before")
async def test_compressed_bodies_are_refused(world: World) -> None:
    answer = await world.send("user", "POST", "/tasks", json=TASK, headers={"Content-Encoding": "gzip"})

    assert answer.status_code == 415


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.usefixtures("before")
async def test_large_bodies_are_refused(world: World, *, told: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 65536

    content = b" " * (1024 * 1024 + 1) if told else chunks()
    answer = await world.send(
        "user", "POST", "/tasks", content=content, headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_of_just_one_mebibyte_is_read(world: World) -> None:
    content = b'{"title": "New"}'.ljust(1024 * 1024)

    answer = await world.send(
        "user", "POST", "/tasks", content=content, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 201


async def test_what_says_that_it_is_huge_is_not_waited_for(world: World) -> None:
    answer = await world.send(
        "user", "POST", "/tasks", content=b"{}",
        headers={"Content-Type": "application/json", "Content-Length": "9" * 5000},
    )  # fmt: skip

    assert answer.status_code == 413


async def test_nonsense_gets_a_short_answer(world: World) -> None:
    answer = await world.send("user", "POST", "/tasks", json={f"{i}" * 200: i for i in range(800)} | TASK)

    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 100
    assert all(len(error["pointer"]) < 110 for error in answer.json()["errors"])


async def test_integral_numbers_count_as_whole(world: World) -> None:
    id = str(await world.task("user"))
    body = f'{{"action": "complete", "tasks": [{{"id": "{id}", "version": 1.0}}]}}'

    answer = await world.send(
        "user", "POST", "/tasks/batch", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 200


async def test_the_last_of_two_names_counts(world: World) -> None:
    answer = await world.send(
        "user", "POST", "/tasks", content=b'{"title": "a", "title": "b"}',
        headers={"Content-Type": "application/json"},
    )  # fmt: skip

    assert answer.json()["title"] == "b"


async def test_an_unknown_owner_is_told_where_it_stands(world: World) -> None:
    id = str(await world.task("user"))
    created = await world.send("admin", "POST", "/tasks", json=TASK | {"userId": ID})
    moved = await world.send("admin", "PATCH", f"/tasks/{id}", json={"userId": ID})
    batched = await world.send("admin", "POST", "/tasks/batch", json=batch(tasks=[id], set={"userId": ID}))

    pointers = [answer.json()["errors"][0]["pointer"] for answer in (created, moved, batched)]
    assert pointers == ["/userId", "/userId", "/set/userId"]


async def test_emails_that_differ_only_in_case_are_one_account(world: World) -> None:
    answer = await world.send(None, "POST", "/auth/register", json=USER | {"email": "USER@Example.Com"})

    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")
