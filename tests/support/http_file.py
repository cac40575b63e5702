"""docs/api.http, sent as an editor sends it, by the demo admin of `taskflow dev`."""

import json
import re
from pathlib import Path
from typing import Any

from support.http_world import World
from taskflow_bootstrap.demo_accounts import DEMO_USERS
from taskflow_core import Role
from taskflow_memory import MemoryPasswords

FILE = Path(__file__).parents[2] / "docs/api.http"
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

    async def send_all(self) -> dict[str, int]:
        """Send every request once, in an order in which each finds what it needs; return the statuses."""
        between = [name for name in self.requests if name not in {*FIRST, *LAST}]
        assert len(self.requests) == len(FIRST + between + LAST)
        statuses = {}
        for name in FIRST + between + LAST:
            statuses[name] = await self.send(name)
            if name == "retryJob":
                await self.send("listDeadJobs")
            if name == "changePassword":
                self.variables["password"] = "another horse, another battery"
            if name in ("endSession", "endSessions"):
                await self.send("logIn")
                await self.send("listSessions")
        return statuses


async def open_editor(world: World) -> Editor:
    """Return an editor with the file open, in a world with the demo admin and three dead jobs."""
    admin = world.store.users[world.people["admin"].id]
    assert (admin.email, admin.role) == (ADMIN.email, ADMIN.role)
    admin.password_hash = await MemoryPasswords().hash(ADMIN.password)
    for _ in range(3):
        world.job(dead=True)
    return Editor(world)
