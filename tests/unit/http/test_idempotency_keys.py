"""What an `Idempotency-Key` may be, and what makes a request the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.http_world import PASSWORD, World, client_of
from support.replays import KEY, is_replay, kept
from taskflow_core import InvalidTransition
from taskflow_http.calls import Call
from taskflow_http.idempotency import Fingerprints

TASK = {"title": "Once"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/tasks", None), ("PATCH", "/users/me", {"name": "New"}), ("DELETE", "/auth/sessions", None),
        ("POST", "/auth/password", {"currentPassword": PASSWORD, "newPassword": "another horse, another"}),
        ("POST", "/auth/login", {"email": "user@example.com", "password": PASSWORD}),
        ("POST", "/auth/logout", None), ("GET", "/health/live", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["8e03978e", "", "a key with blanks", "\xff" * 300])
async def test_where_it_means_nothing_it_is_ignored(
    world: World, method: str, path: str, body: Any, value: str
) -> None:
    headers: Any = {"Idempotency-Key": value.encode("latin-1")}

    answer = await world.client.request(method, path, json=body, headers=world.headers("user") | headers)

    assert answer.is_success, answer.text
    assert not world.store.keys


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("8e03978e-40d5", '"8e03978e-40d5"'),
        ("8e03978e-40d5", ' \t"8e03978e-40d5"\t '),
        ("a", '"a"'),
        ("x" * 255, f'"{"x" * 255}"'),
        ("!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~", '"!#$%&\'()*+-./09:<=>?@AZ[]^_`az{|}~"'),
        ('"a\\"b"', '"a\\"b"'),
        ('"' + '\\"' * 255 + '"', '"' + '\\"' * 255 + '"'),
    ],
)
async def test_with_and_without_quotes_it_is_the_same_key(world: World, one: str, other: str) -> None:
    first = await world.send("user", "POST", "/tasks", json=TASK, headers={"Idempotency-Key": one})
    again = await world.send("user", "POST", "/tasks", json=TASK, headers={"Idempotency-Key": other})

    assert kept(first) == kept(again)
    assert is_replay(again)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "A"), ("a", "aa"), ('"a\\\\"', '"a"'), ('"a\\""', '"a"'), ('"a,b"', '"ab"'), ("0", "00"),
     ('"\\"a\\""', '"a"')],
)  # fmt: skip
async def test_other_keys_are_other_requests(world: World, one: str, other: str) -> None:
    answers = [
        await world.send("user", "POST", "/tasks", json=TASK, headers={"Idempotency-Key": key})
        for key in (one, other)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]


BAD = [
    "", " ", '""', '"', '"a', 'a"', 'a"b', "a b", '"a b"', "a,b", "a;b", "a\\b", '"a\\b"', '"a\\"', '"a"b',
    '"a";p=1', '"a", "b"', "a, b", "a\tb", "x" * 256, f'"{"x" * 256}"', '"' + '\\"' * 256 + '"', "\x7f",
    "\xe9", '"\xe9"', "\x00", "x" * 20_000, ":YQ==:;a", '"a"' + " " * 5000 + "b",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD, ids=range(len(BAD)))
async def test_what_is_no_key_is_refused_and_helped(world: World, value: str) -> None:
    headers: Any = {"Idempotency-Key": value.encode("latin-1")}

    answer = await world.client.post("/tasks", json=TASK, headers=world.headers("user") | headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    # One sentence for all of them: nothing of what was sent is in it.
    assert answer.json()["detail"] == (
        "Idempotency-Key must come once and be 1 to 255 visible ASCII characters, such as "
        '"8e03978e-40d5". In quotes " and \\ have a \\ before them; without quotes none of " \\ , ; is in it.'
    )
    assert not world.store.tasks


@pytest.mark.parametrize(
    "values", [("a", "a"), ("a", "b"), ('"a', 'b"'), ('"a"', '"b"'), ("", ""), ("a", "")]
)
async def test_twice_is_no_key(world: World, values: tuple[str, str]) -> None:
    authorization = world.headers("user")["Authorization"]
    headers = [("Authorization", authorization), *(("Idempotency-Key", value) for value in values)]

    answer = await world.client.post("/tasks", json=TASK, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert not world.store.tasks


def call_of(method: str, path: str, query: bytes, body: bytes) -> Call:
    async def receive() -> Any:
        raise AssertionError

    headers = [(b"idempotency-key", b"k")]
    call = Call({"method": method, "path": path, "query_string": query, "headers": headers}, receive)
    call.content = body
    return call


REQUESTS = st.tuples(
    st.sampled_from(["POST", "POS", "P"]), st.sampled_from(["/tasks", "/task", "/tasks1:", "T/tasks"]),
    st.sampled_from([b"", b"0:", b"a=1", b"3:a=1"]), st.sampled_from([b"", b"{}", b"2:{}", b"0:", b"1{}"]),
)  # fmt: skip


@given(REQUESTS, REQUESTS)
def test_fingerprints_tell_requests_apart(one: Any, other: Any) -> None:
    fingerprints = Fingerprints(b"key")

    marks = [fingerprints.mark(call_of(*request)) for request in (one, other)]

    assert (marks[0] == marks[1]) == (one == other)
    assert marks[0] != Fingerprints(b"another key").mark(call_of(*one))


def test_marks_do_not_show_the_fingerprint() -> None:
    mark = Fingerprints(b"key").mark(call_of("POST", "/tasks", b"", b""))

    assert repr(mark) == "Mark(key='k')"


async def test_no_handler_of_another_route_can_be_asked_to_do_it_once(world: World) -> None:
    async def fails(command: Any, actor: Any) -> Any:  # noqa: ARG001
        assert actor.once is None
        raise InvalidTransition

    async with client_of(world.app(change_task=fails)) as client:
        path = f"/tasks/{await world.task('user')}"
        answer = await client.patch(path, json={"title": "New"}, headers=world.headers("user") | KEY)

    assert answer.status_code == 409
