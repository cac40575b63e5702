"""Tasks by HTTP: the shapes that clients rely on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from support.http_world import NOBODY, World
from taskflow_core import Actor, Priority, Status, TaskDeletion, TaskRestoration
from taskflow_http.schemas import PriorityCounts, StatusCounts


async def test_a_task_has_just_its_members(world: World) -> None:
    body = {
        "title": "  Write the report ",
        "description": " as it is ",
        "status": "IN_PROGRESS",
        "priority": "HIGH",
        "dueDate": "2030-01-31T18:00:00.123+01:00",
    }

    answer = await world.send("user", "POST", "/tasks", json=body)

    task = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/tasks/{task['id']}"
    assert answer.headers["content-type"] == "application/json"
    assert task == {
        "id": task["id"],
        "title": "Write the report",
        "description": " as it is ",
        "status": "IN_PROGRESS",
        "priority": "HIGH",
        "dueDate": "2030-01-31T17:00:00.123000Z",
        "userId": str(world.people["user"].id),
        "createdAt": "2030-01-01T00:00:00Z",
        "updatedAt": "2030-01-01T00:00:00Z",
        "completedAt": None,
        "version": 1,
    }
    assert (await world.send("user", "GET", answer.headers["location"])).json() == task


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2030-12-31T23:59:59.9999999Z", "2030-12-31T23:59:59.999999Z"),
        ("2030-12-31T23:59:59.99999950z", "2030-12-31T23:59:59.999999Z"),
        ("2030-12-31t23:59:59.000000999999999999999999-00:00", "2030-12-31T23:59:59Z"),
    ],
)
async def test_a_time_finer_than_microseconds_is_cut_wherever_it_comes_in(
    world: World, given: str, kept: str
) -> None:
    async def due(method: str, path: str, body: dict[str, Any]) -> str:
        due_date: str = (await world.send("user", method, path, json=body)).json()["dueDate"]
        return due_date

    id = str(await world.task("user"))
    assert await due("POST", "/tasks", {"title": given, "dueDate": given}) == kept
    assert await due("PATCH", f"/tasks/{id}", {"dueDate": given}) == kept
    batch = {"action": "update", "tasks": [id], "set": {"dueDate": given}}
    assert (await world.send("user", "POST", "/tasks/batch", json=batch)).status_code == 200
    assert (await world.send("user", "GET", f"/tasks/{id}")).json()["dueDate"] == kept
    below = await world.send("user", "GET", f"/tasks?dueTo={given}")
    assert below.json()["data"] == []


async def test_absent_leaves_and_null_clears(world: World) -> None:
    due = datetime(2031, 1, 1, tzinfo=UTC)
    path = f"/tasks/{await world.task('user', description='x', due_date=due)}"

    renamed = (await world.send("user", "PATCH", path, json={"title": "New"})).json()
    cleared = (await world.send("user", "PATCH", path, json={"description": None, "dueDate": None})).json()

    assert (renamed["description"], renamed["dueDate"]) == ("x", "2031-01-01T00:00:00Z")
    assert (cleared["title"], cleared["description"], cleared["dueDate"]) == ("New", None, None)


@pytest.mark.parametrize("body", [{}, {"title": "Write the report"}, {"title": " Write the report "}])
async def test_a_change_of_nothing_makes_no_version(world: World, body: dict[str, str]) -> None:
    path = f"/tasks/{await world.task('user')}"

    answer = await world.send("user", "PATCH", path, json=body)

    assert (answer.status_code, answer.json()["version"], answer.headers["etag"]) == (200, 1, '"1"')


@pytest.mark.parametrize("content_type", ["application/json", "application/merge-patch+json; charset=UTF-8"])
async def test_both_media_types_of_a_patch(world: World, content_type: str) -> None:
    path = f"/tasks/{await world.task('user')}"

    answer = await world.send(
        "user", "PATCH", path, content=b'{"title": "New"}', headers={"Content-Type": content_type}
    )

    assert answer.json()["title"] == "New"


async def test_an_impossible_transition(world: World) -> None:
    path = f"/tasks/{await world.task('user', status=Status.COMPLETED)}"
    await world.send("user", "PATCH", path, json={"status": "COMPLETED"})

    answer = await world.send("user", "PATCH", path, json={"status": "CANCELLED"})

    assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition")


async def test_delete_and_restore(world: World) -> None:
    path = f"/tasks/{await world.task('user')}"

    deleted = await world.send("user", "DELETE", path)
    gone = [
        await world.send("user", m, path, json={} if m == "PATCH" else None)
        for m in ("GET", "PATCH", "DELETE")
    ]
    listed = (await world.send("user", "GET", "/tasks?deleted=true")).json()["data"]
    restored = await world.send("user", "POST", path + "/restore")

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert [answer.status_code for answer in gone] == [404] * 3
    assert len(listed) == 1
    assert (restored.status_code, restored.json()["version"]) == (200, 3)


async def test_restoring_is_possible_for_thirty_days(world: World) -> None:
    path = f"/tasks/{await world.task('user')}"
    await world.send("user", "DELETE", path)
    world.clock.advance(days=30, milliseconds=1)
    world.sessions["user"] = world.open_session("user")

    assert (await world.send("user", "POST", path + "/restore")).status_code == 404


async def test_history_tells_who_did_what_under_which_request(world: World) -> None:
    id = await world.task("user")
    due = {"dueDate": "2031-01-01T00:00:00Z", "userId": str(world.people["other"].id)}
    await world.send("manager", "PATCH", f"/tasks/{id}", json=due, headers={"X-Request-ID": "req-1"})
    await world.use_cases.delete_task(TaskDeletion(id), Actor.operator())
    await world.use_cases.restore_task(TaskRestoration(id), Actor.operator())

    answer = await world.send("other", "GET", f"/tasks/{id}/history")

    data = answer.json()["data"]
    assert [entry["action"] for entry in data] == ["restored", "deleted", "updated", "created"]
    assert [entry["actorId"] for entry in data[:2]] == ["operator", "operator"]
    assert data[2] == {
        "id": data[2]["id"],
        "at": "2030-01-01T00:00:00Z",
        "actorId": str(world.people["manager"].id),
        "action": "updated",
        "changes": {
            "dueDate": {"from": None, "to": "2031-01-01T00:00:00Z"},
            "userId": {"from": str(world.people["user"].id), "to": str(world.people["other"].id)},
        },
        "requestId": "req-1",
    }


async def test_statistics(world: World) -> None:
    await world.task("user", due_date=datetime(2029, 1, 1, tzinfo=UTC))
    await world.task("user", status=Status.COMPLETED, priority=Priority.HIGH)
    await world.task("other")

    answer = await world.send("user", "GET", "/tasks/stats")

    assert answer.json() == {
        "total": 2,
        "byStatus": {"PENDING": 1, "IN_PROGRESS": 0, "COMPLETED": 1, "CANCELLED": 0},
        "byPriority": {"LOW": 0, "MEDIUM": 1, "HIGH": 1},
        "overdue": 1,
        "asOf": "2030-01-01T00:00:00Z",
    }


async def test_every_filter_filters(world: World) -> None:
    await world.task("user", title="A", due_date=datetime(2029, 1, 1, tzinfo=UTC))
    await world.task("user", title="B", status=Status.COMPLETED, priority=Priority.HIGH, description="50%")
    world.clock.advance(days=1)
    await world.task("user", title="C", due_date=datetime(2031, 1, 1, tzinfo=UTC))

    async def titles(query: str) -> str:
        answer = await world.send("user", "GET", f"/tasks?sort=createdAt&{query}")
        return "".join(task["title"] for task in answer.json()["data"])

    assert await titles("limit=5") == "ABC"
    assert await titles("status=COMPLETED") == "B"
    assert await titles("priority=MEDIUM") == "AC"
    assert await titles("search=0%25") == "B"
    assert await titles("createdFrom=2030-01-02T00:00:00Z") == "C"
    assert await titles("createdTo=2030-01-02T00:00:00Z") == "AB"
    assert await titles("dueFrom=2031-01-01T00:00:00Z") == "C"
    assert await titles("dueTo=2031-01-01T00:00:00Z") == "A"
    assert await titles("overdue=true") == "A"
    assert await titles("overdue=false") == "BC"
    assert await titles("deleted=true") == ""


async def batch(world: World, who: str, **body: Any) -> tuple[int, Any]:
    answer = await world.send(who, "POST", "/tasks/batch", json=body)
    return answer.status_code, answer.json()


async def test_a_batch_that_can_be_done(world: World) -> None:
    one, two = [str(await world.task("user")) for _ in range(2)]

    status, told = await batch(
        world,
        "user",
        action="update",
        tasks=[two, {"id": one, "version": 1}, two],
        set={"priority": "LOW", "dueDate": None},
    )

    assert status == 200
    assert told == {
        "results": [{"id": two, "status": "ok"}, {"id": one, "status": "ok"}],
        "succeeded": 2,
        "failed": 0,
    }
    assert (await world.send("user", "GET", f"/tasks/{one}")).json()["priority"] == "LOW"


async def test_an_atomic_batch_that_cannot_be_done_changes_nothing(world: World) -> None:
    own, foreign = str(await world.task("user")), str(await world.task("other"))

    status, told = await batch(
        world, "user", action="complete", tasks=[own, foreign, {"id": str(NOBODY), "version": 2}]
    )

    assert (status, told["code"]) == (409, "batch_failed")
    assert [result["status"] for result in told["results"]] == ["ok", "failed", "failed"]
    # Another's and nobody's look the same.
    problems = [result.get("problem") for result in told["results"]]
    assert problems[0] is None
    assert problems[1] == problems[2] == {
        "type": "urn:taskflow:problem:not_found",
        "title": "Not found",
        "status": 404,
        "detail": "It does not exist, or you may not see it.",
        "code": "not_found",
    }  # fmt: skip
    assert (await world.send("user", "GET", f"/tasks/{own}")).json()["status"] == "PENDING"


async def test_a_partial_batch_does_what_it_can(world: World) -> None:
    own, closed = str(await world.task("user")), str(await world.task("user", status=Status.CANCELLED))
    stale = {"id": str(await world.task("user")), "version": 7}

    status, told = await batch(world, "user", action="complete", tasks=[own, closed, stale], mode="partial")

    assert (status, told["succeeded"], told["failed"]) == (200, 1, 2)
    codes = [result.get("problem", {}).get("code") for result in told["results"]]
    assert codes == [None, "invalid_transition", "version_mismatch"]
    assert (await world.send("user", "GET", f"/tasks/{own}")).json()["status"] == "COMPLETED"


def test_counts_are_in_the_order_of_the_enumerations() -> None:
    assert [f.name for f in msgspec.structs.fields(StatusCounts)] == list(Status)
    assert [f.name for f in msgspec.structs.fields(PriorityCounts)] == list(Priority)


async def test_nobody_makes_a_task_by_http_of_which_its_owner_is_not_told(world: World) -> None:
    answer = await world.send("manager", "POST", "/tasks", json={"title": "x", "notify": False})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/notify"]
