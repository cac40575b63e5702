"""Signing in, staying so, signing out: what clients rely on."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import structlog

from support.http_world import NOBODY, PASSWORD, World, client_of
from taskflow_core import NotFound
from taskflow_worker.tries import tell

NEW_PASSWORD = "another horse, another battery"


async def log_in(
    world: World, name: str = "user", password: str = PASSWORD, **headers: str
) -> httpx.Response:
    body = {"email": f"{name}@example.com", "password": password}
    return await world.send(None, "POST", "/auth/login", json=body, headers=headers)


async def refresh(world: World, token: str) -> httpx.Response:
    return await world.send(None, "POST", "/auth/refresh", json={"refresh_token": token})


async def me(world: World, token: str) -> int:
    answer = await world.client.get("/users/me", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


async def change_password(world: World, **body: Any) -> httpx.Response:
    fields = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD} | body
    return await world.send("user", "POST", "/auth/password", json=fields)


async def test_a_refresh_gives_a_new_pair(world: World) -> None:
    first = (await log_in(world)).json()

    answer = await refresh(world, first["refresh_token"])

    told = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(told) == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    assert (told["token_type"], told["expires_in"], told["user"]) == ("Bearer", 900, first["user"])
    assert told["refresh_token"] != first["refresh_token"]
    assert await me(world, told["access_token"]) == 200
    assert (await refresh(world, told["refresh_token"])).status_code == 200


async def test_a_refresh_that_was_lost_can_be_asked_for_again(world: World) -> None:
    token = (await log_in(world)).json()["refresh_token"]

    answers = [await refresh(world, token) for _ in range(3)]

    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_a_reused_token_ends_its_session(world: World) -> None:
    first = (await log_in(world)).json()
    second = (await refresh(world, first["refresh_token"])).json()
    world.clock.advance(seconds=31)

    answer = await refresh(world, first["refresh_token"])

    assert (answer.status_code, answer.json()["code"]) == (401, "refresh_reused")
    assert answer.headers["www-authenticate"] == 'Bearer realm="taskflow"'
    assert (await refresh(world, second["refresh_token"])).json()["code"] == "unauthenticated"
    assert await me(world, second["access_token"]) == 401
    events = (await world.send("user", "GET", "/auth/events")).json()["data"]
    assert [event["type"] for event in events] == ["refresh.reused", "login.new_device"]


async def test_logging_out_ends_this_session_alone(world: World) -> None:
    here, there = [(await log_in(world)).json() for _ in range(2)]
    headers = {"Authorization": f"Bearer {here['access_token']}"}

    answer = await world.client.post("/auth/logout", headers=headers)

    assert (answer.status_code, answer.content) == (204, b"")
    assert await me(world, here["access_token"]) == 401
    assert (await refresh(world, here["refresh_token"])).status_code == 401
    assert await me(world, there["access_token"]) == 200


async def test_one_sees_and_ends_ones_sessions(world: World) -> None:
    other = (await log_in(world, **{"User-Agent": "A browser"})).json()
    world.clock.advance(minutes=1)
    await refresh(world, other["refresh_token"])

    answer = await world.send("user", "GET", "/auth/sessions")

    browser, own = answer.json()["data"]
    assert set(answer.json()) == {"data"}
    assert browser == {
        "id": browser["id"],
        "createdAt": "2030-01-01T00:00:00Z",
        "lastUsedAt": "2030-01-01T00:01:00Z",
        "userAgent": "A browser",
        "current": False,
    }
    assert (own["id"], own["userAgent"], own["current"]) == (str(world.sessions["user"].id), None, True)
    assert (await world.send("user", "DELETE", f"/auth/sessions/{browser['id']}")).status_code == 204
    assert (await world.send("user", "DELETE", f"/auth/sessions/{browser['id']}")).status_code == 404
    assert await me(world, other["access_token"]) == 401
    assert await me(world, world.token("user")) == 200


async def test_one_ends_all_ones_sessions(world: World) -> None:
    other = (await log_in(world)).json()

    assert (await world.send("user", "DELETE", "/auth/sessions")).status_code == 204

    assert await me(world, other["access_token"]) == await me(world, world.token("user")) == 401
    assert await me(world, world.token("other")) == 200


async def test_a_new_password_ends_the_other_sessions(world: World) -> None:
    other = (await log_in(world)).json()

    answer = await change_password(world)

    assert (answer.status_code, answer.headers["cache-control"]) == (204, "no-store")
    assert await me(world, world.token("user")) == 200
    assert await me(world, other["access_token"]) == 401
    assert (await log_in(world)).status_code == 401
    assert (await log_in(world, password=NEW_PASSWORD)).status_code == 200


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("short", "at least 8"),
        ("password123", "tried first"),
        ("user@example.com", "must not be your"),
        (5, "text"),
    ],
)
async def test_a_bad_new_password_is_told_where_it_stands(world: World, new: object, said: str) -> None:
    answer = await change_password(world, newPassword=new)

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "/newPassword")
    assert said in error["detail"]
    assert (await log_in(world)).status_code == 200


async def test_a_wrong_present_password(world: World) -> None:
    answers = [await change_password(world, currentPassword="wrong") for _ in range(6)]

    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert answers[0].json()["code"] == "invalid_credentials"
    # The token beside it is good, and nobody should think otherwise.
    assert answers[0].headers["www-authenticate"] == 'Bearer realm="taskflow"'
    assert answers[-1].json()["code"] == "too_many_attempts"
    assert answers[-1].headers["retry-after"] == "1"


async def test_failures_make_an_account_wait(world: World) -> None:
    for _ in range(5):
        assert (await log_in(world, password="wrong")).status_code == 401

    answer = await log_in(world)

    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
    assert answer.headers["retry-after"] == "1"
    world.clock.advance(seconds=1)
    assert (await log_in(world)).status_code == 200


async def test_events(world: World) -> None:
    await log_in(world, **{"User-Agent": "A", "X-Test-Address": "1"})
    await log_in(world, **{"User-Agent": "B", "X-Test-Address": "2"})
    await change_password(world)
    await world.send("admin", "PATCH", f"/users/{world.people['other'].id}", json={"role": "manager"})

    own = (await world.send("user", "GET", "/auth/events")).json()
    everyones = (await world.send("admin", "GET", "/auth/events?userId=any")).json()["data"]
    typed = (await world.send("user", "GET", "/auth/events?type=login.new_device")).json()["data"]

    changed, device, first = own["data"]
    assert own["nextCursor"] is None
    assert changed["type"] == "password.changed"
    assert device == {
        "id": device["id"],
        "type": "login.new_device",
        "at": "2030-01-01T00:00:00Z",
        "userId": str(world.people["user"].id),
        "detail": {"userAgent": "B"},
    }
    assert [event["type"] for event in everyones[:2]] == ["role.changed", "password.changed"]
    assert everyones[2:] == typed == [device, first]


async def test_another_email_is_an_event_and_told_to_the_one_before(world: World) -> None:
    user, admin = world.people["user"], world.people["admin"]
    for email in (" USER@Example.com", "new@example.com"):
        path, body = f"/users/{user.id}", {"email": email, "notifications": False}
        assert (await world.send("admin", "PATCH", path, json=body)).status_code == 200

    (event,) = (await world.send("admin", "GET", f"/auth/events?userId={user.id}")).json()["data"]
    (listed,) = (await world.send("admin", "GET", "/jobs?kind=security.event")).json()["data"]
    one = await world.send("admin", "GET", f"/jobs/{listed['id']}")
    with structlog.testing.capture_logs() as lines:
        while ran := await world.use_cases.run_job():
            tell(ran)

    assert (event["type"], event["detail"]) == ("email.changed", {"by": str(admin.id)})
    assert [notice.email for notice in world.notifier.sent] == ["user@example.com"]
    assert "user@example.com" not in f"{event} {listed} {one.text} {lines}"
    assert [line["event"] for line in lines] == ["job done"]


async def test_pages_of_events(world: World) -> None:
    for address in range(5):
        await log_in(world, **{"User-Agent": "A", "X-Test-Address": str(address)})
    seen, query = [], "/auth/events?limit=2&type=login.new_device"
    path: str | None = query
    while path:
        answer = await world.send("user", "GET", path)
        seen += [event["id"] for event in answer.json()["data"]]
        link = answer.headers.get("link")
        path = link and "/auth/events" + link.partition(">")[0][1:]

    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)
    cursor = (await world.send("user", "GET", query)).json()["nextCursor"]
    for other in ("/auth/events", "/auth/events?type=refresh.reused", f"/auth/events?userId={NOBODY}"):
        sign = "&" if "?" in other else "?"
        answer = await world.send("admin", "GET", f"{other}{sign}cursor={cursor}")
        assert answer.json()["code"] == "invalid_cursor"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "type=login", "type=", "userId=me", "user=any"])
async def test_bad_questions_for_events(world: World, query: str) -> None:
    answer = await world.send("user", "GET", f"/auth/events?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]


async def test_whoever_logs_out_twice_at_once_is_out(world: World) -> None:
    async def too_late(*_: object) -> None:
        raise NotFound

    async with client_of(world.app(end_session=too_late)) as client:
        answer = await client.post("/auth/logout", headers=world.headers("user"))

    assert answer.status_code == 204
