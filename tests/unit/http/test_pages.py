"""Lists by pages, and the cursors between them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.http_world import ADDRESSES, NO_LIMITS, NOBODY, World, client_of
from taskflow_core import Position, Status
from taskflow_http import create_app
from taskflow_http.cursors import Cursors
from taskflow_http.errors import InvalidCursor


async def test_paging_sees_everything_once(world: World) -> None:
    ids = [str(await world.task("user")) for _ in range(5)]

    seen, reference = [], "?limit=2"
    while reference:
        answer = await world.send("user", "GET", "/tasks" + reference)
        seen += [task["id"] for task in answer.json()["data"]]
        # A reference relative to the list itself: right wherever the API is mounted.
        link = answer.headers.get("link")
        cursor = answer.json()["nextCursor"]
        assert (link is None) == (cursor is None)
        reference = "" if link is None else link.removeprefix("<").removesuffix('>; rel="next"')
        assert cursor is None or reference == f"?limit=2&cursor={cursor}"

    assert seen == ids[::-1]


async def test_the_link_keeps_all_parameters(world: World) -> None:
    for _ in range(3):
        await world.task("user", title="50% of a+b & c", due_date=datetime(2031, 1, 1, tzinfo=UTC))
    query = {"search": "% of A+B &", "sort": "dueDate", "dueFrom": "2030-06-01T00:00:00+02:00", "limit": "1"}

    first = await world.send("user", "GET", "/tasks", params=query)
    reference = first.headers["link"].removeprefix("<").removesuffix('>; rel="next"')
    second = await world.send("user", "GET", "/tasks" + reference)

    assert first.json()["data"] != second.json()["data"]
    assert second.json()["data"][0]["title"] == "50% of a+b & c"


@pytest.mark.parametrize("sort", ["createdAt", "-dueDate", "dueDate", "priority", "-updatedAt"])
async def test_every_order_can_be_paged(world: World, sort: str) -> None:
    for day in (1, 2):
        await world.task("user", due_date=datetime(2031, 1, day, 0, 0, 0, 123456, tzinfo=UTC))
    await world.task("user")
    whole = (await world.send("user", "GET", f"/tasks?sort={sort}")).json()["data"]

    seen, cursor = [], ""
    for _ in range(3):
        page = (await world.send("user", "GET", f"/tasks?sort={sort}&limit=1{cursor}")).json()
        seen += page["data"]
        cursor = f"&cursor={page['nextCursor']}"

    assert seen == whole
    assert cursor == "&cursor=None"


async def test_a_filter_of_several_values_can_be_paged(world: World) -> None:
    for status in (*Status, *Status):
        await world.task("user", status=status)
    path = "/tasks?limit=3&priority=MEDIUM,HIGH&status="

    first = await world.send("user", "GET", path + "PENDING,IN_PROGRESS")
    # In another order it is the same query; of other values it is another.
    cursor = f"&cursor={first.json()['nextCursor']}"
    second = await world.send("user", "GET", path + "IN_PROGRESS&status=PENDING" + cursor)
    others = [
        await world.send("user", "GET", path + statuses + cursor)
        for statuses in ("PENDING", "IN_PROGRESS", "PENDING,IN_PROGRESS,COMPLETED", "PENDING,COMPLETED")
    ]

    found = [task["status"] for answer in (first, second) for task in answer.json()["data"]]
    assert found == ["IN_PROGRESS", "PENDING", "IN_PROGRESS", "PENDING"]
    assert {answer.status_code for answer in others} == {400}


async def test_the_limit_may_change_between_pages(world: World) -> None:
    for _ in range(3):
        await world.task("user")
    cursor = (await world.send("user", "GET", "/tasks?limit=1")).json()["nextCursor"]

    answer = await world.send("user", "GET", "/tasks", params={"cursor": cursor, "limit": "50"})

    assert len(answer.json()["data"]) == 2


async def test_users_can_be_paged(world: World) -> None:
    for sort in ("email", "-email", "createdAt"):
        first = (await world.send("admin", "GET", f"/users?sort={sort}&limit=3")).json()
        rest = (await world.send("admin", "GET", f"/users?sort={sort}&cursor={first['nextCursor']}")).json()
        assert len({user["id"] for user in first["data"] + rest["data"]}) == 4


async def test_history_can_be_paged(world: World) -> None:
    path = f"/tasks/{await world.task('user')}"
    for title in ("b", "c"):
        await world.send("user", "PATCH", path, json={"title": title})

    first = await world.send("user", "GET", path + "/history?limit=2")
    reference = first.headers["link"].removeprefix("<").removesuffix('>; rel="next"')
    second = await world.send("user", "GET", path + "/history" + reference)

    actions = [entry["action"] for entry in first.json()["data"] + second.json()["data"]]
    assert actions == ["updated", "updated", "created"]
    assert second.json()["nextCursor"] is None


async def cursor_of(world: World, path: str, who: str = "admin") -> str:
    answer = await world.send(who, "GET", path)
    cursor: str = answer.json()["nextCursor"]
    assert cursor is not None
    return cursor


@pytest.mark.parametrize(
    "other",
    [
        "/tasks?sort=dueDate", "/tasks?sort=createdAt", "/tasks?status=PENDING", "/tasks?search=x",
        "/tasks?userId=any", "/tasks?overdue=false", "/tasks?deleted=true",
        "/tasks?dueTo=2031-01-01T00:00:00Z",
        "/users", "/users?sort=email", "/tasks/{id}/history",
    ],
)  # fmt: skip
async def test_a_cursor_of_another_query_is_refused(world: World, other: str) -> None:
    ids = [await world.task("admin") for _ in range(2)]
    cursor = await cursor_of(world, "/tasks?limit=1")
    path = other.replace("{id}", str(ids[0]))

    answer = await world.send("admin", "GET", path + ("&" if "?" in path else "?") + f"cursor={cursor}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_a_cursor_of_another_owner_is_refused(world: World) -> None:
    for who in ("user", "user", "other", "other"):
        await world.task(who)
    cursor = await cursor_of(world, "/tasks?limit=1", "user")

    assert (await world.send("other", "GET", f"/tasks?cursor={cursor}")).status_code == 400


async def test_a_cursor_of_another_tasks_history_is_refused(world: World) -> None:
    one, two = [await world.task("user") for _ in range(2)]
    await world.send("user", "PATCH", f"/tasks/{one}", json={"title": "New"})
    cursor = await cursor_of(world, f"/tasks/{one}/history?limit=1", "user")

    assert (await world.send("user", "GET", f"/tasks/{two}/history?cursor={cursor}")).status_code == 400


async def test_the_same_filter_said_otherwise_is_the_same_query(world: World) -> None:
    for _ in range(2):
        await world.task("user", due_date=datetime(2031, 1, 1, tzinfo=UTC))
    cursor = await cursor_of(world, "/tasks?limit=1&dueFrom=2030-06-01T02:00:00%2B02:00", "user")

    answer = await world.send("user", "GET", f"/tasks?cursor={cursor}&dueFrom=2030-06-01T00:00:00Z")

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "null",
        "None",
        "====",
        "%00",
        "%ff",
        "é",
        "A" * 22,
        "A" * 4096,
        "A" * 4097,
        "A" * 60_000,
        "MTIz LTQ1",
    ],
)
async def test_nonsense_is_refused(world: World, cursor: str) -> None:
    answer = await world.send("user", "GET", f"/tasks?cursor={cursor}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_a_changed_cursor_is_refused(world: World) -> None:
    for _ in range(2):
        await world.task("user")
    cursor = await cursor_of(world, "/tasks?limit=1", "user")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    for place, character in enumerate(cursor):
        # The next character of the alphabet differs in the lowest bit, which at the end may be unused.
        other = alphabet[alphabet.index(character) ^ 1]
        changed = cursor[:place] + other + cursor[place + 1 :]
        assert (await world.send("user", "GET", f"/tasks?cursor={changed}")).status_code == 400
    for changed in (cursor + "=", cursor + "A", cursor[:-1], " " + cursor, cursor + "%0A"):
        assert (await world.send("user", "GET", f"/tasks?cursor={changed}")).status_code == 400


async def test_a_cursor_of_another_installation_is_refused(world: World) -> None:
    for _ in range(2):
        await world.task("user")
    cursor = await cursor_of(world, "/tasks?limit=1", "user")
    elsewhere = create_app(
        use_cases=world.use_cases,
        tokens=world.tokens,
        clock=world.clock,
        cursor_key=b"another key of 32 bytes or more..",
        limits=NO_LIMITS,
        addresses=ADDRESSES,
    )

    async with client_of(elsewhere) as client:
        answer = await client.get(f"/tasks?cursor={cursor}", headers=world.headers("user"))

    assert answer.status_code == 400


keys = st.none() | st.datetimes(timezones=st.just(UTC)) | st.integers(0, 2**31) | st.text(max_size=254)


@given(keys, st.uuids(), st.datetimes(timezones=st.just(UTC)))
def test_a_position_survives(key: datetime | int | str | None, id: UUID, as_of: datetime) -> None:
    cursors, position = Cursors(b"key"), Position(key, id, as_of)

    assert cursors.open(cursors.seal(position, ("q",)), ("q",)) == position


def test_a_cursor_is_short_and_tells_no_secret() -> None:
    cursor = Cursors(b"key").seal(Position(None, NOBODY, datetime(2030, 1, 1, tzinfo=UTC)), ("q",))

    assert len(cursor) < 80
    assert b"key" not in base64.urlsafe_b64decode(cursor + "==")


def test_positions_and_numbers_do_not_stand_in_for_each_other() -> None:
    cursors = Cursors(b"key")
    number = cursors.seal_number(5, ("q",))
    position = cursors.seal(Position(None, NOBODY, datetime(2030, 1, 1, tzinfo=UTC)), ("q",))

    with pytest.raises(InvalidCursor):
        cursors.open(number, ("q",))
    with pytest.raises(InvalidCursor):
        cursors.open_number(position, ("q",))
