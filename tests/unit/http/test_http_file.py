"""docs/api.http works as it stands: sent here as an editor sends it, by the demo admin of `taskflow dev`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.http_world import World
from taskflow_bootstrap.demo_accounts import DEMO_USERS
from taskflow_core import Role
from taskflow_memory import MemoryPasswords

FILE = Path(__file__).parents[3] / "docs/api.http"
FIRST = ["logIn", "createTask", "createUser", "listSessions", "listDeadJobs"]
# What ends what the others need.
LAST = ["retryJob", "discardJob", "retryJobs", "deleteTask", "restoreTask", "deleteUser", "changePassword",
        "endSession", "endSessions", "logOut"]  # fmt: skip
ADMIN = next(user for user in DEMO_USERS if user.role is Role.ADMIN)


class Editor:
    """Sends what stands in the file, and puts answers where variables ask for them."""

    def __init__(self, world: World) -> None:
        head, *requests = re.split(r"^### .*\n", FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
        self.world = world
        self.variables: dict[str, str] = dict(re.findall(r"^@(\w+) = (.*)$", head, re.MULTILINE))
        self.variables["base"] = ""
        self.requests = {re.findall("# @name (.*)", text)[0]: text for text in requests}
        self.answers: dict[str, str] = {}

    def filled(self, text: str) -> str:
        while found := re.search(r"{{([^}]*)}}", text):
            text = text.replace(found[0], self.value(found[1]))
        return text

    def value(self, name: str) -> str:
        asked, _, path = name.partition(".response.body.$")
        if not path:
            return self.variables[name]
        value: Any = json.loads(self.answers[asked])
        for part in re.findall(r"\w+", path):
            value = value[int(part) if part.isdigit() else part]
        return str(value)

    async def send(self, name: str) -> int:
        top, _, body = self.filled(self.requests[name]).partition("\n\n")
        _, line, *fields = top.splitlines()
        method, path = line.split()
        headers = dict(field.split(": ", 1) for field in fields)
        answer = await self.world.send(None, method, path, headers=headers, content=body.strip() or None)
        self.answers[name] = answer.text
        return answer.status_code


@pytest.fixture
async def editor(world: World) -> Editor:
    admin = world.store.users[world.people["admin"].id]
    assert (admin.email, admin.role) == (ADMIN.email, ADMIN.role)
    admin.password_hash = await MemoryPasswords().hash(ADMIN.password)
    for _ in range(3):
        world.job(dead=True)
    return Editor(world)


async def test_every_request_is_done(editor: Editor) -> None:
    between = [name for name in editor.requests if name not in {*FIRST, *LAST}]
    assert len(editor.requests) == len(FIRST + between + LAST)
    statuses = {}
    for name in FIRST + between + LAST:
        statuses[name] = await editor.send(name)
        if name == "retryJob":
            await editor.send("listDeadJobs")
        if name == "changePassword":
            editor.variables["password"] = "another horse, another battery"
        if name in ("endSession", "endSessions"):
            await editor.send("logIn")
            await editor.send("listSessions")
    assert {name: status for name, status in statuses.items() if status >= 400} == {}
    assert json.loads(editor.answers["changeTasks"])["succeeded"] == 1


async def test_the_same_key_is_the_same_task(editor: Editor) -> None:
    await editor.send("logIn")
    assert await editor.send("createTask") == 201
    first = editor.answers["createTask"]
    assert await editor.send("createTask") == 201
    assert editor.answers["createTask"] == first
