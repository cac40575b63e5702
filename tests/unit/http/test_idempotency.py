"""Requests with an `Idempotency-Key`: done once, and answered as they were."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest

from support.http_world import PASSWORD, World, client_of, let_pass
from support.replays import KEY, is_replay, kept
from taskflow_core import DeadlineExceeded, RequestInProgress
from taskflow_http import HttpOptions
from taskflow_http.table import OPERATIONS

TASK = {"title": "Once"}
NEW = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}


async def prepared(world: World, name: str) -> tuple[str, Any]:
    """The path and body of a request that takes a key."""
    task = await world.task("admin")
    if name == "restoreTask":
        await world.send("admin", "DELETE", f"/tasks/{task}")
    return {
        "createTask": ("/tasks", TASK | {"dueDate": "2031-01-01T00:00:00Z"}),
        "changeTasks": ("/tasks/batch", {"action": "delete", "tasks": [str(task), str(UUID(int=1))],
                                         "mode": "partial"}),
        "restoreTask": (f"/tasks/{task}/restore", None),
        "createUser": ("/users", NEW),
        "retryJob": (f"/jobs/{world.job(dead=True)}/retry", None),
        "retryJobs": ("/jobs/dead/retry", {"kind": "sample.refund"}),
    }[name]  # fmt: skip


TAKING = [operation for operation in OPERATIONS if operation.idempotent_by_key]


def test_every_post_takes_a_key_but_for_signing_in() -> None:
    taking = {(operation.method, operation.path) for operation in TAKING}

    posts = {("POST", operation.path) for operation in OPERATIONS if operation.method == "POST"}
    assert taking == {(method, path) for method, path in posts if not path.startswith("/auth/")}
    assert len(taking) == 6


@pytest.mark.parametrize("name", [operation.name for operation in TAKING])
async def test_it_is_done_once_and_answered_the_same(world: World, name: str) -> None:
    path, body = await prepared(world, name)
    first = await world.send("admin", "POST", path, json=body, headers=KEY | {"X-Request-ID": "one"})
    state = snapshot(world)
    world.clock.advance(minutes=5)

    again = await world.send("admin", "POST", path, json=body, headers=KEY | {"X-Request-ID": "two"})

    assert first.is_success
    assert kept(again) == kept(first)
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert "idempotent-replayed" not in first.headers
    # What a request is called is its own, the second time too.
    assert (first.headers["x-request-id"], again.headers["x-request-id"]) == ("one", "two")
    assert snapshot(world) == state


def snapshot(world: World) -> Any:
    store = world.store
    rows = (store.users, store.tasks, store.ledger)
    return [{id: replace(row) for id, row in table.items()} for table in rows]


@pytest.mark.parametrize("name", [operation.name for operation in TAKING])
async def test_without_a_key_nothing_is_kept(world: World, name: str) -> None:
    path, body = await prepared(world, name)

    answer = await world.send("admin", "POST", path, json=body)

    assert answer.is_success
    assert not world.store.keys
    assert "idempotent-replayed" not in answer.headers


async def test_without_a_key_it_is_done_each_time(world: World) -> None:
    ids = {(await world.send("user", "POST", "/tasks", json=TASK)).json()["id"] for _ in range(3)}

    assert len(ids) == len(world.store.tasks) == 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tasks", b'{"title": "Another"}'),
        # The same to JSON is not the same to the byte: whoever repeats a request repeats its bytes.
        ("/tasks", b'{"title":"Once"}'),
        ("/tasks", b'{"title": "Once"} '),
        ("/tasks?&", b'{"title": "Once"}'),
        ("/tasks/batch", b'{"action": "complete", "tasks": ["01890a5d-ac96-774b-bcce-b302099a8057"]}'),
        ("/users", b'{"email": "a@example.com", "name": "A", "password": "correct horse battery"}'),
        ("/jobs/dead/retry", b'{"kind": "sample.refund"}'),
    ],
)
async def test_another_request_by_the_same_key_is_refused(world: World, path: str, body: bytes) -> None:
    async def send(path: str, body: bytes) -> httpx.Response:
        headers = KEY | {"Content-Type": "application/json"}
        return await world.send("admin", "POST", path, content=body, headers=headers)

    first = await send("/tasks", b'{"title": "Once"}')
    state = snapshot(world)

    answer = await send(path, body)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert snapshot(world) == state
    assert kept(await send("/tasks", b'{"title": "Once"}')) == kept(first)


async def test_what_is_wrong_with_another_request_by_itself_is_told_first(world: World) -> None:
    await world.send("user", "POST", "/tasks", json=TASK, headers=KEY)

    answer = await world.send("user", "POST", "/tasks/batch", json=TASK, headers=KEY)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_the_same_key_for_two_things_of_the_same_kind_is_refused(world: World) -> None:
    one, two = [await world.task("user") for _ in range(2)]
    for id in (one, two):
        await world.send("user", "DELETE", f"/tasks/{id}")

    codes = [
        (await world.send("user", "POST", f"/tasks/{id}/restore", headers=KEY)).status_code
        for id in (one, two, one)
    ]

    assert codes == [200, 422, 200]
    assert world.store.tasks[two].deleted_at is not None


FAILING: list[tuple[str, str, Any, int]] = [
    ("user", "/tasks", {"title": ""}, 422),
    ("user", "/tasks", {"title": "x", "userId": str(UUID(int=1))}, 403),
    ("manager", "/tasks", {"title": "x", "userId": str(UUID(int=1))}, 422),
    ("user", f"/tasks/{UUID(int=1)}/restore", None, 404),
    ("user", "/tasks/batch", {"action": "complete", "tasks": [str(UUID(int=1))]}, 409),
    ("user", "/users", NEW, 403),
    ("admin", "/users", NEW | {"email": "user@example.com"}, 409),
    ("admin", f"/jobs/{UUID(int=1)}/retry", None, 404),
]


@pytest.mark.parametrize(("who", "path", "body", "status"), FAILING)
async def test_what_failed_is_not_kept(world: World, who: str, path: str, body: Any, status: int) -> None:
    for _ in range(2):
        answer = await world.send(who, "POST", path, json=body, headers=KEY)
        assert (answer.status_code, is_replay(answer)) == (status, False)
    assert not world.store.keys

    good = await world.send(who, "POST", "/tasks", json=TASK, headers=KEY)

    assert good.status_code == 201


async def test_a_partial_batch_is_kept_with_what_failed(world: World) -> None:
    id, other = await world.task("user"), await world.task("other")
    body = {"action": "complete", "tasks": [str(id), str(other)], "mode": "partial"}
    first = await world.send("user", "POST", "/tasks/batch", json=body, headers=KEY)
    await world.send("user", "DELETE", f"/tasks/{id}")

    again = await world.send("user", "POST", "/tasks/batch", json=body, headers=KEY)

    assert (first.json()["succeeded"], first.json()["failed"]) == (1, 1)
    assert kept(again) == kept(first)


async def test_a_batch_of_a_thousand_is_done_once(world: World) -> None:
    ids = [str(await world.task("user")) for _ in range(1000)]
    body = {"action": "update", "tasks": ids, "set": {"priority": "HIGH"}}

    first = await world.send("user", "POST", "/tasks/batch", json=body, headers=KEY)
    again = await world.send("user", "POST", "/tasks/batch", json=body, headers=KEY)

    assert first.json()["succeeded"] == 1000
    assert kept(again) == kept(first)
    assert {task.version for task in world.store.tasks.values()} == {2}


async def test_versions_in_a_batch_are_not_judged_again(world: World) -> None:
    id = str(await world.task("user"))
    body = {"action": "update", "tasks": [{"id": id, "version": 1}], "set": {"title": "New"}}

    codes = [
        (await world.send("user", "POST", "/tasks/batch", json=body, headers=KEY)).status_code
        for _ in range(2)
    ]

    assert codes == [200, 200]
    assert (await world.send("user", "POST", "/tasks/batch", json=body)).status_code == 409


async def test_at_once_it_is_done_once(world: World) -> None:
    answers = await asyncio.gather(
        *(world.send("user", "POST", "/tasks", json=TASK, headers=KEY) for _ in range(50))
    )

    assert len({answer.content for answer in answers}) == len(world.store.tasks) == 1
    assert sum(is_replay(answer) for answer in answers) == 49


async def test_after_a_day_it_is_a_new_request(world: World) -> None:
    first = await world.send("user", "POST", "/tasks", json=TASK, headers=KEY)
    world.clock.advance(hours=24, seconds=1)
    world.sessions["user"] = world.open_session("user")

    again = await world.send("user", "POST", "/tasks", json=TASK, headers=KEY)

    assert again.status_code == 201
    assert again.json()["id"] != first.json()["id"]


async def test_one_that_is_under_way_is_a_conflict(world: World) -> None:
    async def waits(*_: Any) -> Any:
        raise RequestInProgress

    async with client_of(world.app(create_task=waits)) as client:
        answer = await client.post("/tasks", json=TASK, headers=world.headers("user") | KEY)

    assert (answer.status_code, answer.json()["code"]) == (409, "request_in_progress")


@pytest.mark.parametrize("key", [KEY, {}])
async def test_a_doubtful_end_says_what_to_do(world: World, key: dict[str, str]) -> None:
    async def hangs(*_: Any) -> Any:
        let_pass(60)
        await asyncio.sleep(60)

    options = HttpOptions(request_timeout=30)
    async with client_of(world.app(create_task=hangs, options=options)) as client:
        answer = await client.post("/tasks", json=TASK, headers=world.headers("user") | key)

    assert (answer.status_code, answer.json()["code"]) == (503, DeadlineExceeded.code)
    assert ("with the same Idempotency-Key" in answer.json()["detail"]) == bool(key)


async def test_where_the_api_is_mounted_elsewhere_the_answer_is_of_there(world: World) -> None:
    app = world.app()
    transport = httpx.ASGITransport(app=app, root_path="/v1")
    async with httpx.AsyncClient(transport=transport, base_url="http://taskflow.test") as client:
        answers = [
            await client.post("/v1/tasks", json=TASK, headers=world.headers("user") | KEY) for _ in range(2)
        ]

    assert answers[0].headers["location"].startswith("/v1/tasks/")
    assert kept(answers[0]) == kept(answers[1])
