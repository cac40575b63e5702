"""Conditional requests (RFC 9110 section 13)."""

from __future__ import annotations

import asyncio

import pytest

from support.http_world import NOBODY, World
from taskflow_http.operations import Operation
from taskflow_http.table import OPERATIONS

UNVERSIONED = [each for each in OPERATIONS if each.method != "GET" and not each.versioned]


@pytest.fixture
async def path(world: World) -> str:
    """A task at version 3."""
    path = f"/tasks/{await world.task('user')}"
    for title in ("Second", "Third"):
        await world.send("user", "PATCH", path, json={"title": title})
    return path


async def test_entity_tags_are_versions(world: World, path: str) -> None:
    read = await world.send("user", "GET", path)
    patched = await world.send("user", "PATCH", path, json={"title": "Fourth"})
    deleted = await world.send("user", "DELETE", path)
    restored = await world.send("user", "POST", path + "/restore")
    created = await world.send("user", "POST", "/tasks", json={"title": "New"})
    me = await world.send("user", "GET", "/users/me")

    tags = [answer.headers.get("etag") for answer in (read, patched, deleted, restored, created, me)]
    assert tags == ['"3"', '"4"', None, '"6"', '"1"', '"1"']


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ('"3"', 304), ('W/"3"', 304), ('"1", "3"', 304), ('"x","3"', 304), ('W/"1" ,\tW/"3"', 304),
        ("*", 304), ('"3",', 304), (',, "1", ,"3"', 304),
        ('"2"', 200), ('W/"2", "4"', 200), ('"33"', 200), ('"03"', 200), ('""', 200),
        ("3", 400), ("", 400), ('"3', 400), ('"3" "4"', 400), ('w/"3"', 400), ('*, "3"', 400), (",", 400),
        (", ".join(f'"{i}"' for i in range(9)), 400), ("," * 9000 + "x", 400),
    ],
)  # fmt: skip
async def test_if_none_match(world: World, path: str, given: str, status: int) -> None:
    answer = await world.send("user", "GET", path, headers={"If-None-Match": given})

    assert answer.status_code == status
    if status != 400:
        assert answer.headers["etag"] == '"3"'
    if status == 304:
        assert answer.content == b""
        assert "content-type" not in answer.headers


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("given", "done"),
    [
        ('"3"', True), ("*", True), ('"1", "3"', True), ('"3", "4"', True), ('"x", "3"', True),
        ('W/"1", "3"', True),
        ('"2"', False), ('"1", "2"', False), ('W/"3"', False), ('W/"3", "2"', False), ('"x"', False),
        ('"03"', False), ('"3.0"', False), ('""', False), ('"' + "9" * 5000 + '"', False),
        ('"٣"'.encode().decode("latin-1"), False),
    ],
)  # fmt: skip
async def test_if_match(world: World, path: str, method: str, given: str, *, done: bool) -> None:
    answer = await world.send(
        "user", method, path, headers={"If-Match": given.encode("latin-1")},  # type: ignore[dict-item]
        json={"title": "Fourth"} if method == "PATCH" else None,
    )  # fmt: skip

    assert answer.status_code == (412 if not done else 204 if method == "DELETE" else 200), answer.text
    if not done:
        assert answer.json()["code"] == "version_mismatch"
        assert (await world.send("user", "GET", path)).json()["version"] == 3


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("given", "done"),
    [
        ('"3"', False), ("*", False), (" * ", False), ('W/"3"', False), ('"1", W/"3"', False),
        ('"2"', True), ('"1", "2"', True), ('"x"', True), ('"03"', True), ('""', True),
    ],
)  # fmt: skip
async def test_if_none_match_on_a_change(
    world: World, path: str, method: str, given: str, *, done: bool
) -> None:
    answer = await world.send(
        "user", method, path, headers={"If-None-Match": given},
        json={"title": "Fourth"} if method == "PATCH" else None,
    )  # fmt: skip

    assert answer.status_code == (412 if not done else 204 if method == "DELETE" else 200), answer.text
    if not done:
        assert answer.json()["code"] == "version_mismatch"
        assert (await world.send("user", "GET", path)).json()["version"] == 3


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": '"2"'}, 412), ({"If-Match": 'W/"1"'}, 412), ({"If-None-Match": "*"}, 412),
        ({"If-None-Match": 'W/"1"'}, 412), ({"If-Match": '"1"'}, 200), ({"If-None-Match": '"2"'}, 200),
    ],
)  # fmt: skip
async def test_accounts_honour_both(world: World, method: str, headers: dict[str, str], status: int) -> None:
    body = {"name": "New"} if method == "PATCH" else None
    for path in ("/users/me", f"/users/{world.people['other'].id}"):
        if (method, path) != ("DELETE", "/users/me"):
            answer = await world.send("admin", method, path, json=body, headers=headers)
            if status == 412 and method == "GET" and "If-None-Match" in headers:
                assert answer.status_code == 304
            else:
                assert answer.status_code == (204 if (method, status) == ("DELETE", 200) else status)
    if status == 412:
        assert {user.version for user in world.store.users.values()} == {1}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": '"77"'}, 412), ({"If-Match": '"4"'}, 200), ({"If-Match": "*"}, 200),
        ({"If-None-Match": "*"}, 412), ({"If-None-Match": '"4"'}, 412), ({"If-None-Match": '"3"'}, 200),
        ({"If-Match": '"4"', "If-None-Match": '"4"'}, 412), ({"If-Match": "nonsense"}, 400),
    ],
)  # fmt: skip
async def test_restoring_honours_both(world: World, path: str, headers: dict[str, str], status: int) -> None:
    await world.send("user", "DELETE", path)

    unseen = await world.send("other", "POST", path + "/restore", headers={"If-Match": '"77"'})
    answer = await world.send("user", "POST", path + "/restore", headers=headers)

    assert (unseen.status_code, answer.status_code) == (404, status)
    assert (await world.send("user", "GET", path)).status_code == (200 if status == 200 else 404)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": '"77"'}, 412), ({"If-Match": 'W/"3"'}, 412), ({"If-Match": '"1", "3"'}, 200),
        ({"If-Match": "*"}, 200), ({"If-Match": "3"}, 400),
        ({"If-Match": '"77"', "If-None-Match": '"3"'}, 412),
        ({"If-Match": '"3"', "If-None-Match": '"3"'}, 304),
        ({"If-Match": '"3"', "If-None-Match": '"2"'}, 200),
        ({"If-Modified-Since": "Sat, 01 Jan 2050 00:00:00 GMT"}, 200),
        ({"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 200),
        ({"Range": "bytes=0-3", "If-Range": '"3"'}, 200),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_conditions_of_a_read(
    world: World, path: str, method: str, headers: dict[str, str], status: int
) -> None:
    answer = await world.send("user", method, path, headers=headers)
    gone = await world.send("other", method, path, headers=headers)

    assert (answer.status_code, gone.status_code) == (status, 404)


@pytest.mark.parametrize("path", ["/tasks", "/tasks/stats", "/users", "/jobs", "/auth/sessions", "/"])
async def test_what_has_no_entity_tag_matches_no_tag(world: World, path: str) -> None:
    given = [{"If-Match": '"1"'}, {"If-Match": "*"}, {"If-None-Match": '"1"'}, {"If-None-Match": "*"}]
    answers = [await world.send("admin", "GET", path, headers=headers) for headers in given]

    assert [answer.status_code for answer in answers] == [412, 200, 200, 304]


@pytest.mark.parametrize("operation", UNVERSIONED, ids=lambda o: o.name)
@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
async def test_no_change_ignores_a_precondition(world: World, operation: Operation, name: str) -> None:
    path = operation.path.replace("{id}", str(NOBODY))
    body = None if operation.body is None else operation.body.example
    before = str((world.store.tasks, world.store.users, world.store.sessions))

    answer = await world.send("admin", operation.method, path, json=body, headers={name: '"1"'})

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert str((world.store.tasks, world.store.users, world.store.sessions)) == before


@pytest.mark.parametrize("given", ["3", "", '"3', '"3" "4"', '*, "3"', "W/*", '"3";', '"a b"'])
async def test_an_if_match_that_cannot_be_read(world: World, path: str, given: str) -> None:
    answer = await world.send("user", "PATCH", path, headers={"If-Match": given}, json={"title": "Fourth"})

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert (await world.send("user", "GET", path)).json()["version"] == 3


async def test_who_may_not_see_it_learns_nothing_from_if_match(world: World, path: str) -> None:
    answer = await world.send("other", "PATCH", path, headers={"If-Match": '"1"'}, json={"title": "Fourth"})

    assert answer.status_code == 404


async def test_users_have_preconditions_too(world: World) -> None:
    path = f"/users/{world.people['other'].id}"

    assert (await world.send("admin", "GET", path, headers={"If-None-Match": '"1"'})).status_code == 304
    for method in ("PATCH", "DELETE"):
        answer = await world.send("admin", method, path, headers={"If-Match": '"2"'}, json={"name": "New"})
        assert answer.status_code == 412
    assert (await world.send("admin", "DELETE", path, headers={"If-Match": '"1"'})).status_code == 204


async def test_one_of_many_wins(world: World, path: str) -> None:
    answers = await asyncio.gather(
        *(
            world.send("user", "PATCH", path, headers={"If-Match": '"2", "3"'}, json={"title": f"By {i}"})
            for i in range(32)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 31


@pytest.mark.parametrize("given", ['"1"', "*", "nonsense"])
async def test_if_match_on_a_batch_is_refused(world: World, path: str, given: str) -> None:
    body = {"action": "complete", "tasks": [path.removeprefix("/tasks/")]}

    answer = await world.send("user", "POST", "/tasks/batch", json=body, headers={"If-Match": given})

    assert answer.status_code == 400
    assert (await world.send("user", "GET", path)).json()["version"] == 3
