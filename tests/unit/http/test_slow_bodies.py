"""Who asks is judged after the body has arrived, and before it is decoded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from support.http_world import PASSWORD, World, client_of, limits
from taskflow_core import Actor, Role, UserChange, UserChanges, UserDeletion

Happening = Callable[[World], Awaitable[object]]
JSON = {"Content-Type": "application/json"}
NEW = {"email": "new@example.com", "name": "New", "password": PASSWORD, "role": "admin"}


def change(**changes: Any) -> Happening:
    def happen(world: World) -> Awaitable[object]:
        command = UserChange(world.people["admin"].id, UserChanges(**changes))
        return world.use_cases.change_user(command, Actor.operator())

    return happen


def delete(world: World) -> Awaitable[object]:
    return world.use_cases.delete_user(UserDeletion(world.people["admin"].id), Actor.operator())


def log_out(world: World) -> Awaitable[object]:
    return world.send("admin", "POST", "/auth/logout")


@pytest.mark.parametrize(
    ("happen", "status"),
    [(change(role=Role.MANAGER), 403), (change(active=False), 401), (delete, 401), (log_out, 401)],
    ids=["demoted", "deactivated", "deleted", "logged out"],
)
@pytest.mark.parametrize("limited", [True, False])
async def test_rights_that_end_while_the_body_arrives_are_gone(
    world: World, happen: Happening, status: int, *, limited: bool
) -> None:
    # The operator may not take the last admin.
    other = {"email": "second@example.com", "name": "Second", "password": PASSWORD, "role": "admin"}
    await world.send("admin", "POST", "/users", json=other)
    task = await world.task("other")
    requests = [
        ("POST", "/users", NEW),
        ("PATCH", f"/users/{world.people['other'].id}", {"role": "admin"}),
        ("POST", "/tasks/batch", {"action": "delete", "tasks": [str(task)]}),
    ]
    tried = dict.fromkeys((path for _, path, _ in requests), 0)
    allowed = limits(api="1000/minute") if limited else limits()
    happened = False

    async def arriving(body: bytes) -> AsyncIterator[bytes]:
        nonlocal happened
        yield body[:-1]
        if not happened:
            await happen(world)
            happened = True
        yield body[-1:]

    headers = JSON | world.headers("admin")
    async with client_of(world.app(limits=allowed)) as client:
        for method, path, document in requests:
            body = json.dumps(document).encode()
            answer = await client.request(method, path, content=arriving(body), headers=headers)
            tried[path] = answer.status_code
    assert (tried["/users"], tried[requests[1][1]]) == (status, status)
    # A batch says of each task what became of it; of what one may not see, that it is not there.
    assert tried["/tasks/batch"] == (409 if status == 403 else 401)
    assert world.store.users[world.people["other"].id].role is Role.USER
    assert world.store.tasks[task].deleted_at is None


async def body_of_nobody() -> AsyncIterator[bytes]:
    for _ in range(1):
        raise AssertionError("The body was read.")
    yield b""


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer forged"}])
@pytest.mark.parametrize("path", ["/tasks", "/tasks/batch", "/users"])
async def test_without_a_token_that_can_be_believed_no_body_is_read(
    world: World, path: str, headers: dict[str, str]
) -> None:
    answer = await world.client.post(path, content=body_of_nobody(), headers=JSON | headers)

    assert answer.status_code == 401


@pytest.mark.parametrize("content", [b"{", b"{}", b" " * 1_100_000])
@pytest.mark.parametrize("path", ["/tasks", "/tasks/batch"])
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
async def test_a_session_that_has_ended_learns_nothing_of_its_body(
    world: World, path: str, content: bytes, kind: str
) -> None:
    headers = world.headers("user") | {"Content-Type": kind}
    await world.send("user", "POST", "/auth/logout")
    async with client_of(world.app(limits=limits(api="100/minute"))) as client:
        answer = await client.post(path, content=content, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["ratelimit"] == '"api";r=99;t=1'


@pytest.mark.parametrize("content", [b"{", b" " * 1_100_000])
async def test_who_asks_too_often_has_no_body_decoded(world: World, content: bytes) -> None:
    headers = world.headers("user") | JSON
    async with client_of(world.app(limits=limits(api="1/minute"))) as client:
        answers = [await client.post("/tasks", content=content, headers=headers) for _ in range(2)]

    assert answers[0].status_code in (400, 413)
    assert answers[1].status_code == 429
