"""docs/api.http works as it stands."""

import json

import pytest

from support.http_file import Editor, open_editor
from support.http_world import World


@pytest.fixture
async def editor(world: World) -> Editor:
    return await open_editor(world)


async def test_every_request_is_done(editor: Editor) -> None:
    statuses = await editor.send_all()
    assert {name: status for name, status in statuses.items() if status >= 400} == {}
    assert json.loads(editor.answers["changeTasks"])["succeeded"] == 1


async def test_the_same_key_is_the_same_task(editor: Editor) -> None:
    await editor.send("logIn")
    assert await editor.send("createTask") == 201
    first = editor.answers["createTask"]
    assert await editor.send("createTask") == 201
    assert editor.answers["createTask"] == first
