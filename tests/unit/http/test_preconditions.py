"""Conditional requests (RFC 9110 section 13)."""

from __future__ import annotations

import asyncio

import pytest

from support.http_world import World


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
        ("*", 304),
        ('"2"', 200), ('W/"2", "4"', 200), ('"33"', 200), ('"03"', 200), ('""', 200),
        ("3", 400), ("", 400), ('"3', 400), ('"3" "4"', 400), ('w/"3"', 400), ('*, "3"', 400), ('"3",', 400),
        (", ".join(f'"{i}"' for i in range(9)), 400),
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

    assert answer.status_code == (412 if not done else 200 if method == "PATCH" else 204), answer.text
    if not done:
        assert answer.json()["code"] == "version_mismatch"
        assert (await world.send("user", "GET", path)).json()["version"] == 3


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
