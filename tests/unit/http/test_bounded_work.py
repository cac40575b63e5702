"""What a request makes the server do is bounded, however long its body and its header fields are."""

from __future__ import annotations

import sys
import unicodedata
from types import FrameType, SimpleNamespace
from typing import Literal

import pytest

from support.http_world import PASSWORD, World
from taskflow_core import users

SIZE = 1024 * 1024
CALLS_MAX = 20_000
"""Of Python functions, for one request: a thousand items take several each."""


def filled(before: str, item: str, after: str) -> bytes:
    count = (SIZE - len(before) - len(after)) // (len(item) + 1)
    return (before + ",".join([item] * count) + after).encode()


def tasks(item: str, last: str = "") -> bytes:
    return filled('{"action":"complete","tasks":[', item, last + "]}")


ID = '"01890a5d-ac96-774b-bcce-b302099a8057"'
BODIES = {
    "numbers": tasks("1"),
    "objects": tasks("{}"),
    "arrays": tasks("[]"),
    "nested arrays": tasks("[" * 500 + "]" * 500),
    "texts": tasks('""'),
    "objects of unknown fields": tasks('{"a":1}'),
    "floats": tasks("1e300"),
    "ids": tasks(ID),
    "ids and a fault": tasks(ID, ",1"),
    "versioned ids": tasks(f'{{"id":{ID},"version":1}}'),
    "a thousand faulty items": b'{"action":"complete","tasks":[' + b",".join([b"{}"] * 1000) + b"]}",
    "unknown fields": b"{" + b",".join(b'"%x":1' % i for i in range(95_000)) + b"}",
    "unknown fields of the changes": (
        b'{"action":"update","tasks":[],"set":{' + b",".join(b'"%x":1' % i for i in range(95_000)) + b"}}"
    ),
    "repeated names": filled("{", '"action":1', "}"),
    "digits": b'{"action":' + b"9" * SIZE + b"}",
    "escapes": b'{"action":"' + b"\\u00e9" * (SIZE // 6 - 9) + b'"}',
    "long name": b'{"' + b"a" * (SIZE - 20) + b'":1}',
    "blanks": b" " * SIZE,
    "open brackets": b"[" * SIZE,
}


@pytest.mark.parametrize("field", ["email", "name", "password"])
async def test_no_long_text_is_folded(world: World, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folded: list[int] = []

    def normalize(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        folded.append(len(text))
        return unicodedata.normalize(form, text)

    monkeypatch.setattr(
        users, "unicodedata", SimpleNamespace(normalize=normalize, category=unicodedata.category)
    )
    body = {"email": "new@example.com", "name": "New", "password": PASSWORD} | {field: "\ufdfa" * 100_000}

    answer = await world.send(None, "POST", "/auth/register", json=body)

    assert answer.status_code == 422
    # A password of 256 characters has up to four times as many code points in NFD.
    assert max(folded) <= 1025


@pytest.mark.parametrize("name", BODIES)
async def test_a_long_body_takes_few_steps(world: World, name: str) -> None:
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    headers = {"Content-Type": "application/json"}
    sys.setprofile(count)
    try:
        answer = await world.send(
            "user", "POST", "/tasks/batch", content=BODIES[name][:SIZE], headers=headers
        )
    finally:
        sys.setprofile(None)

    assert answer.status_code in (400, 422)
    assert len(answer.json().get("errors", [])) <= 100
    assert len(answer.content) < 20_000
    assert calls < CALLS_MAX
