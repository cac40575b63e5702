"""Who may do what to whose, on every route: one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from support.http_world import NOBODY, PASSWORD, World
from taskflow_http.table import OPERATIONS

ROLES = (None, "user", "manager", "admin")
Send = Callable[[World, str | None, UUID, UUID], Awaitable[httpx.Response]]
"""Sends a request as somebody, about a person and a task of that person's."""


def task(method: str, path: str = "", **more: Any) -> Send:
    return lambda w, who, _, id: w.send(who, method, f"/tasks/{id}{path}", **more)


def user(method: str, **more: Any) -> Send:
    return lambda w, who, id, _: w.send(who, method, f"/users/{id}", **more)


def plain(method: str, path: str, **more: Any) -> Send:
    return lambda w, who, _, __: w.send(who, method, path, **more)


def owned(path: str) -> Send:
    return lambda w, who, id, _: w.send(who, "GET", path, params={"userId": str(id)})


def batch(**fields: Any) -> Send:
    return lambda w, who, _, id: w.send(who, "POST", "/tasks/batch", json={"tasks": [str(id)]} | fields)


async def restore(w: World, who: str | None, _: UUID, id: UUID) -> httpx.Response:
    await w.send("admin", "DELETE", f"/tasks/{id}")
    return await w.send(who, "POST", f"/tasks/{id}/restore")


async def give(w: World, who: str | None, person: UUID, _: UUID) -> httpx.Response:
    own = await w.task(who or "other")
    return await w.send(who, "PATCH", f"/tasks/{own}", json={"userId": str(person)})


async def create(w: World, who: str | None, person: UUID, _: UUID) -> httpx.Response:
    return await w.send(who, "POST", "/tasks", json={"title": "A title", "userId": str(person)})


async def same_role(w: World, who: str | None, person: UUID, _: UUID) -> httpx.Response:
    return await w.send(who, "PATCH", f"/users/{person}", json={"role": who or "user"})


def job(method: str, path: str = "") -> Send:
    async def send(w: World, who: str | None, person: UUID, _: UUID) -> httpx.Response:
        id = NOBODY if person == NOBODY else w.job(dead=True, subject=person)
        return await w.send(who, method, f"/jobs/{id}{path}")

    return send


async def end_session(w: World, who: str | None, person: UUID, _: UUID) -> httpx.Response:
    named = next((name for name, view in w.people.items() if view.id == person), None)
    session = NOBODY if named is None else w.open_session(named).id
    return await w.send(who, "DELETE", f"/auth/sessions/{session}")


async def refresh(w: World, who: str | None, _: UUID, __: UUID) -> httpx.Response:
    token = w.refresh_tokens.of(w.sessions[who or "user"])
    return await w.send(who, "POST", "/auth/refresh", json={"refresh_token": token})


REGISTRATION = {"email": "new@example.com", "name": "New", "password": PASSWORD}
NEW_PASSWORD = {"currentPassword": PASSWORD, "newPassword": "another horse, another battery"}
LOGIN = {"email": "user@example.com", "password": PASSWORD}
OPEN = (200, 200, 200, 200)
SIGNED_IN = (401, 200, 200, 200)
ADMINS = (401, 403, 403, 200)

# operation, what of it, how                  none user manager admin
MATRIX: list[tuple[str, str, Send, dict[str, tuple[int, int, int, int]]]] = [
    ("findTask", "", task("GET"), {
        "own": SIGNED_IN, "another's": (401, 404, 200, 200), "nobody's": (401, 404, 404, 404)}),
    ("changeTask", "", task("PATCH", json={"title": "New"}), {
        "own": SIGNED_IN, "another's": (401, 404, 200, 200), "nobody's": (401, 404, 404, 404)}),
    ("changeTask", "gives own away", give, {
        "own": SIGNED_IN, "another's": (401, 403, 200, 200), "nobody's": (401, 403, 422, 422)}),
    ("deleteTask", "", task("DELETE"), {
        "own": (401, 204, 204, 204), "another's": (401, 404, 403, 204), "nobody's": (401, 404, 404, 404)}),
    ("restoreTask", "", restore, {
        "own": SIGNED_IN, "another's": (401, 404, 403, 200), "nobody's": (401, 404, 404, 404)}),
    ("readHistory", "", task("GET", "/history"), {
        "own": SIGNED_IN, "another's": (401, 404, 200, 200), "nobody's": (401, 404, 404, 404)}),
    ("createTask", "", create, {
        "own": (401, 201, 201, 201), "another's": (401, 403, 201, 201), "nobody's": (401, 403, 422, 422)}),
    ("listTasks", "of one", owned("/tasks"), {
        "own": SIGNED_IN, "another's": (401, 403, 200, 200), "nobody's": (401, 403, 200, 200)}),
    ("listTasks", "own by default", plain("GET", "/tasks"), {"own": SIGNED_IN}),
    ("listTasks", "of all", plain("GET", "/tasks?userId=any"), {"all": (401, 403, 200, 200)}),
    ("countTasks", "of one", owned("/tasks/stats"), {
        "own": SIGNED_IN, "another's": (401, 403, 200, 200), "nobody's": (401, 403, 200, 200)}),
    ("countTasks", "own by default", plain("GET", "/tasks/stats"), {"own": SIGNED_IN}),
    ("countTasks", "of all", plain("GET", "/tasks/stats?userId=any"), {"all": (401, 403, 200, 200)}),
    ("changeTasks", "completes", batch(action="complete"), {
        "own": SIGNED_IN, "another's": (401, 409, 200, 200), "nobody's": (401, 409, 409, 409)}),
    ("changeTasks", "deletes", batch(action="delete"), {
        "own": SIGNED_IN, "another's": (401, 409, 409, 200), "nobody's": (401, 409, 409, 409)}),
    ("changeTasks", "updates", batch(action="update", set={"priority": "HIGH"}), {
        "own": SIGNED_IN, "another's": (401, 409, 200, 200), "nobody's": (401, 409, 409, 409)}),
    ("changeTasks", "gives away", batch(action="update", set={"userId": str(NOBODY)}), {
        "own": (401, 403, 422, 422), "another's": (401, 403, 422, 422), "nobody's": (401, 403, 422, 422)}),
    ("findMe", "", plain("GET", "/users/me"), {"own": SIGNED_IN}),
    ("changeMe", "", plain("PATCH", "/users/me", json={"name": "New"}), {"own": SIGNED_IN}),
    ("findUser", "", user("GET"), {
        "own": SIGNED_IN, "another's": (401, 404, 200, 200), "nobody's": (401, 404, 404, 404)}),
    ("changeUser", "name", user("PATCH", json={"name": "New"}), {
        "own": SIGNED_IN, "another's": (401, 404, 403, 200), "nobody's": (401, 404, 403, 404)}),
    ("changeUser", "role", user("PATCH", json={"role": "manager"}), {
        "own": (401, 403, 403, 409), "another's": (401, 404, 403, 200), "nobody's": (401, 404, 403, 404)}),
    ("changeUser", "role to the same", same_role, {"own": (401, 403, 403, 200)}),
    ("changeUser", "activity", user("PATCH", json={"active": False}), {
        "own": (401, 403, 403, 409), "another's": (401, 404, 403, 200), "nobody's": (401, 404, 403, 404)}),
    ("changeUser", "email", user("PATCH", json={"email": "new@example.com"}), {
        "own": (401, 403, 403, 200), "another's": (401, 404, 403, 200), "nobody's": (401, 404, 403, 404)}),
    ("deleteUser", "", user("DELETE"), {
        "own": (401, 403, 403, 409), "another's": (401, 404, 403, 204), "nobody's": (401, 404, 403, 404)}),
    ("listUsers", "", plain("GET", "/users"), {"all": (401, 403, 200, 200)}),
    ("createUser", "", plain("POST", "/users", json=REGISTRATION), {"all": (401, 403, 403, 201)}),
    ("start", "", plain("GET", "/"), {"all": OPEN}),
    ("register", "", plain("POST", "/auth/register", json=REGISTRATION), {"own": (201, 201, 201, 201)}),
    ("logIn", "", plain("POST", "/auth/login", json=LOGIN), {"own": OPEN}),
    ("refresh", "", refresh, {"own": OPEN}),
    ("logOut", "", plain("POST", "/auth/logout"), {"own": (401, 204, 204, 204)}),
    ("changePassword", "", plain("POST", "/auth/password", json=NEW_PASSWORD), {
        "own": (401, 204, 204, 204)}),
    ("listSessions", "", plain("GET", "/auth/sessions"), {"own": SIGNED_IN}),
    ("endSessions", "", plain("DELETE", "/auth/sessions"), {"own": (401, 204, 204, 204)}),
    ("endSession", "", end_session, {
        "own": (401, 204, 204, 204), "another's": (401, 404, 404, 204), "nobody's": (401, 404, 404, 404)}),
    ("readEvents", "of one", owned("/auth/events"), {
        "own": SIGNED_IN, "another's": (401, 403, 403, 200), "nobody's": (401, 403, 403, 200)}),
    ("readEvents", "own by default", plain("GET", "/auth/events"), {"own": SIGNED_IN}),
    ("readEvents", "of all", plain("GET", "/auth/events?userId=any"), {"all": (401, 403, 403, 200)}),
    ("listJobs", "", plain("GET", "/jobs"), {"all": ADMINS}),
    ("listDeadJobs", "", plain("GET", "/jobs/dead"), {"all": ADMINS}),
    ("countJobs", "", plain("GET", "/jobs/stats"), {"all": ADMINS}),
    ("findJob", "", job("GET"), {
        "own": ADMINS, "another's": ADMINS, "nobody's": (401, 403, 403, 404)}),
    ("retryJob", "", job("POST", "/retry"), {
        "own": ADMINS, "another's": ADMINS, "nobody's": (401, 403, 403, 404)}),
    ("retryJobs", "", plain("POST", "/jobs/dead/retry", json={"kind": "task.overdue"}), {"all": ADMINS}),
    ("discardJob", "", job("DELETE"), {
        "own": (401, 403, 403, 204), "another's": (401, 403, 403, 204), "nobody's": (401, 403, 403, 404)}),
    ("live", "", plain("GET", "/health/live"), {"all": OPEN}),
    ("ready", "", plain("GET", "/health/ready"), {"all": OPEN}),
    ("openapi", "", plain("GET", "/openapi.json"), {"all": OPEN}),
    ("api", "", plain("GET", "/api"), {"all": OPEN}),
    ("asset", "", plain("GET", "/api/static/start.js"), {"all": OPEN}),
]  # fmt: skip

CASES = [
    pytest.param(send, role, owner, expected, id=f"{operation} {what} by {role} of {owner}")
    for operation, what, send, rows in MATRIX
    for owner, row in rows.items()
    for role, expected in zip(ROLES, row, strict=True)
]


@pytest.mark.parametrize(("send", "role", "owner", "expected"), CASES)
async def test_access(world: World, send: Send, role: str | None, owner: str, expected: int) -> None:
    name = "other" if owner == "another's" else role or "other"
    missing = owner == "nobody's"
    person = NOBODY if missing else world.people[name].id
    task_id = NOBODY if missing else await world.task(name)

    answer = await send(world, role, person, task_id)

    assert answer.status_code == expected, answer.text
    if expected == 404:
        # The same, to the letter, as for what does not exist.
        absent = await send(world, role, NOBODY, NOBODY)
        assert _told(answer) == _told(absent)


def test_every_route_is_in_the_matrix() -> None:
    assert {operation for operation, *_ in MATRIX} == {operation.name for operation in OPERATIONS}


def test_every_route_with_an_owner_is_tried_for_each_kind_of_owner() -> None:
    about_one = {o.name for o in OPERATIONS if "{id}" in o.path}
    told = {operation: set[str]() for operation in about_one}
    for operation, _, _, rows in MATRIX:
        told.get(operation, set()).update(rows)

    assert told == {name: {"own", "another's", "nobody's"} for name in about_one}


def _told(answer: httpx.Response) -> Any:
    return answer.json() | {"requestId": "any"}
