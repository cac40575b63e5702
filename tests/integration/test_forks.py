"""A process that has used TaskFlow and then forks, as gunicorn --preload and Celery do."""

import os
import subprocess
import sys

from support.processes import environment

_USED_THEN_FORKED = """
import asyncio, os, signal, sys
from uuid import uuid4
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from taskflow_bootstrap.container import Container
from taskflow_bootstrap.embedded import Settings, embed
from taskflow_core import Actor, NewUser
from taskflow_sqlalchemy import driver_url
from taskflow_sqlalchemy.connections import PooledConnections, fetch_all

settings = Settings(database_url=sys.argv[1], redis_url=sys.argv[2], password_cost=10)
container = Container(settings=settings)

def somebody():
    return NewUser(email=f"{uuid4()}@example.com", name="F", password=str(uuid4()))

async def use():
    engine = create_async_engine(driver_url(settings.database_url), poolclass=NullPool)
    async with engine.begin() as connection:
        await embed(connection, settings).create_user(somebody(), Actor.operator())
    await engine.dispose()
    await container.use_cases().create_user(somebody(), Actor.operator())
    await container.queue().waiting()
    connections = PooledConnections(container.engine())
    return {row[0] for row in await fetch_all(connections, "SELECT pg_backend_pid()", {})}

ours = asyncio.run(use())
pid = os.fork()
if pid == 0:
    signal.alarm(30)
    code = 1
    try:
        code = 0 if not asyncio.run(use()) & ours else 2
    finally:
        os._exit(code)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert code == 0, code
# The parent keeps what it had.
assert asyncio.run(use()) == ours
"""

_FORKED_AMID_WORK = """
import os, signal, threading
from datetime import UTC, datetime
from taskflow_bootstrap.composition import make_common_passwords
from taskflow_system import SystemChance, Uuid7

ids, chance, now = Uuid7(), SystemChance(), datetime.now(UTC)
known = [make_common_passwords() for _ in range(20)]

def work():
    while True:
        ids(now)

def load():
    for each in known:
        each.load()

for target in (work, work, load):
    threading.Thread(target=target, daemon=True).start()
for number in range(100):
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        ids(now)
        known[-1].load()
        os.write(tell, repr(chance()).encode())
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 0, code
    assert float(os.read(told, 64)) != chance()
"""


def run(script: str, *args: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *args],
        env=environment({"PATH": os.environ["PATH"]}),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_a_forked_child_has_threads_and_connections_of_its_own(database_url: str, redis_url: str) -> None:
    run(_USED_THEN_FORKED, database_url, redis_url)


def test_a_child_that_is_forked_amid_work_waits_for_no_thread_of_its_parents() -> None:
    run(_FORKED_AMID_WORK)
